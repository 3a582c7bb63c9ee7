/** What goes between the agent and the door, and between its two processes. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Order, Shipped, WorkState } from "../../../../convex/model/agent.ts";

/** What the door gives for the token. Spans in ms. */
export type Enrolled = {
  readonly session: string;
  /** Hex; replies are signed with it. */
  readonly key: string;
  readonly epoch: number;
  readonly lifeMs: number;
  /** Others than it woke up with. */
  readonly spans?: { readonly idleMs: number; readonly resultsMs: number };
  readonly work?: Work;
};

export type Work = {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly Shipped[];
  /** Newest first. */
  readonly checkpoints: readonly { readonly number: number; readonly files: readonly Shipped[] }[];
  /** Between the word to end and the end. */
  readonly graceMs: number;
  /** The command's own limit, which ends earlier than the machine. */
  readonly runMs: number;
};

export type Reply = { readonly epoch: number; readonly seq: number; readonly lifeMs: number; readonly orders: readonly Order[] };

export type ToGuard =
  | {
      readonly type: "enrolled";
      readonly key: string;
      readonly epoch: number;
      readonly lifeMs: number;
      readonly spans?: Enrolled["spans"] & {};
    }
  | { readonly type: "reply"; readonly text: string; readonly signature: string }
  | { readonly type: "work"; readonly work: WorkState }
  | {
      readonly type: "run";
      readonly command: readonly string[];
      readonly environment: Record<string, string>;
      readonly runMs: number;
    }
  | { readonly type: "term"; readonly graceMs: number }
  | { readonly type: "over"; readonly why: string };
export type FromGuard =
  | { readonly type: "started"; readonly pid: number }
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "taken"; readonly inMs: number };

export function isSigned(text: string, signature: string, key: string): boolean {
  const wanted = createHmac("sha256", Buffer.from(key, "hex")).update(text).digest();
  const shown = Buffer.from(signature, "hex");
  return wanted.length === shown.length && timingSafeEqual(wanted, shown);
}
