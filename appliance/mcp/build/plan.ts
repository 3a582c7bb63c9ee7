/** What is going to be made, before it is made: read and edited by the owner, and then all that the making looks at. */
import type { ToolClass } from "../../../convex/model/server.ts";
import type { Json } from "./json.ts";

export type Plan = {
  readonly version: 1;
  /** The server's: part of its tools' names. */
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly source: { readonly kind: string; readonly from: string; readonly sha256: string };
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** Exactly what it may reach: `host:port`. */
  readonly egress: readonly string[];
  readonly limits: Limits;
  readonly auth: readonly Auth[];
  readonly tools: readonly PlannedTool[];
  /** Operations that are not made into tools: too many, or not understood. */
  readonly left: { readonly count: number; readonly groups: readonly LeftGroup[] };
  /** What the owner should know before he says yes. */
  readonly notes: readonly string[];
};

export type Limits = {
  readonly callsPerMinute: number;
  readonly timeoutMs: number;
  /** Of one answer. */
  readonly answerBytes: number;
};

/** Operations by what they are about, some by name. */
export type LeftGroup = { readonly group: string; readonly count: number; readonly some: readonly string[] };

/** A way in: how a request shows who asks. Its secrets are in Nika's store, under these names, and reach the server as these variables. */
export type Auth = {
  readonly id: string;
  readonly kind: "apiKey" | "bearer" | "basic" | "oauth2";
  readonly in?: "header" | "query" | "cookie";
  /** Of a key: the name of the header, parameter or cookie. */
  readonly parameter?: string;
  readonly secret: string;
  readonly variable: string;
  /** Of OAuth. */
  readonly authorizationUrl?: string;
  readonly tokenUrl?: string;
  readonly scopes?: readonly string[];
};

export type PlannedTool = {
  readonly name: string;
  readonly group: string;
  readonly title: string;
  readonly description: string;
  readonly class: ToolClass;
  readonly approval: "never" | "ask" | "refuse";
  readonly callsPerMinute?: number;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly PlannedParameter[];
  readonly body?: PlannedBody;
  /** Ids of `auth`, all needed together. */
  readonly auth: readonly string[];
  readonly scopes: readonly string[];
  /** JSON Schema of an object. */
  readonly input: Json;
  /** Argument that asks for the next page. */
  readonly page?: string;
  /** Made from the document; what the contract tests call it with and answer. Absent: no arguments that fit could be made. */
  readonly example?: { readonly arguments: Json; readonly answer: ExampleAnswer };
};
export type ExampleAnswer = { readonly status: number; readonly mediaType: string; readonly body: unknown };

export const styles = ["simple", "form", "spaceDelimited", "pipeDelimited", "deepObject"] as const;
export type PlannedParameter = {
  /** On the wire. */
  readonly name: string;
  readonly in: "path" | "query" | "header" | "cookie";
  readonly argument: string;
  readonly style: (typeof styles)[number];
  readonly explode: boolean;
  readonly json: boolean;
};

export type PlannedBody = {
  readonly argument: string;
  readonly kind: "json" | "form" | "multipart" | "text" | "bytes";
  readonly mediaType: string;
  /** Of multipart: properties that are files. */
  readonly files: readonly string[];
};
