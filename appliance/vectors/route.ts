/** What a REST call of the store is made of. */
import type { IncomingMessage } from "node:http";
import type { Json } from "./body.ts";
import type { Store } from "./store.ts";

export type Call = {
  readonly store: Store;
  /** What the path's placeholders stand for. */
  readonly path: Readonly<Record<string, string>>;
  readonly search: URLSearchParams;
  /** The JSON body; an empty object when there was none, or when the route reads the request itself. */
  readonly body: Json;
  readonly request: IncomingMessage;
};

/** Answers `result` of the envelope; or, with one key, `text`, `bare` JSON or a `file` as it is. */
export type Route = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `{name}` stands for one segment. */
  readonly pattern: string;
  readonly answer: (call: Call) => unknown;
  /** Changes nothing, though it is no GET: it waits for nobody's writing. */
  readonly isReading?: boolean;
  /** Reads the request's body itself, which may be larger than any JSON. */
  readonly isStreamed?: boolean;
};
