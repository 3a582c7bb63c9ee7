/** What the main thread and the action thread say to each other. */
import type { FunctionEntry } from "../txn/functions.ts";
import type { Body } from "./bodies.ts";
import type { Outcome } from "./driver.ts";

export type ActionSetup = { readonly dir: string; readonly code: string; readonly map: string; readonly functionsDir: string };

export type WireRequest = {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Body | null;
};
export type WireResponse = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Body | null;
  /** Why there is none of the app's own, with a mapped stack. */
  readonly error?: string;
};

/** `identity` is JSON text of what `getUserIdentity()` returns. */
type Start = { readonly id: number; readonly identity: string; readonly requestId: string };
export type ToAction =
  | (Start & { readonly type: "run"; readonly entry: FunctionEntry; readonly args: string })
  | (Start & {
      readonly type: "http";
      readonly route: { readonly path: string; readonly method: string };
      readonly request: WireRequest;
    })
  | { readonly type: "answer"; readonly ask: number; readonly answer: string }
  | { readonly type: "ping" };

export type FromAction =
  | { readonly type: "pong" }
  | { readonly type: "ask"; readonly id: number; readonly ask: number; readonly op: string; readonly args: string }
  | { readonly type: "done"; readonly id: number; readonly outcome: Outcome; readonly logLines: readonly string[] }
  | { readonly type: "response"; readonly id: number; readonly response: WireResponse; readonly logLines: readonly string[] }
  /** After "response": its body is over, and this was logged meanwhile. */
  | { readonly type: "ended"; readonly id: number; readonly logLines: readonly string[] };
