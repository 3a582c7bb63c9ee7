/**
 * What a worker on another machine may do. It holds a token of its own and no key of the appliance's, so everything it asks for is looked at
 * here: the kinds it may take, and what it may read and write for each while it holds one.
 */
import { v, type Infer } from "convex/values";
import type { JobKind } from "./kinds.ts";

/**
 * Kinds that may leave the appliance, each with the internal functions that its run may call. Only what is heavy goes: what takes moments, or
 * removes things, stays at home.
 */
const callsOf: { readonly [K in JobKind]?: readonly string[] } = {
  "jobs.check": [],
  "documents.ingest": [
    "documents:fileForIngest",
    "pictures:held",
    "pictures:owe",
    "pictures:put",
    "pictures:trim",
    "sources:unpack",
    "sources:uploadUrl",
  ],
};

/** Kinds that a joined worker may take, if it can do them. */
export const joinedKinds: readonly JobKind[] = Object.keys(callsOf) as JobKind[];

export const mayCall = (kind: JobKind, name: string): boolean => callsOf[kind]?.includes(name) ?? false;

/** Whether a call is about what the job is about: nobody may read or change another document by holding a job on this one. */
export function isAbout(job: { readonly documentId?: string }, args: Readonly<Record<string, unknown>>): boolean {
  const named = ["documentId", "parentId"].filter((name) => name in args);
  return named.every((name) => job.documentId !== undefined && args[name] === job.documentId);
}

/** What names a worker in its short-lived tokens, before the id of what it was let in with. */
export const workerSubject = "worker:";

/** The appliance has a worker of its own under this name. */
export const ownWorkerName = "appliance";
export const workerNamePattern = /^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u;
export const workerTokensMax = 64;

/** Both sides run the same functions on the same tables: anything but the same version would be a guess. */
export function versionProblem(theirs: string, ours: string): string | undefined {
  if (theirs === ours) return undefined;
  return `This worker runs Nika ${theirs} and the appliance runs ${ours}; install the same version on both.`;
}

export const vWorkerAbout = v.object({
  host: v.string(),
  version: v.string(),
  lanes: v.object({ now: v.number(), work: v.number(), bulk: v.number() }),
  /** What it can do; everything when absent. */
  kinds: v.optional(v.array(v.string())),
});
export type WorkerAbout = Infer<typeof vWorkerAbout>;

/** A worker, for the owner. */
export const vWorkerView = v.object({
  name: v.string(),
  isUp: v.boolean(),
  /** On another machine, let in with a token. */
  isJoined: v.boolean(),
  slots: v.number(),
  about: v.optional(vWorkerAbout),
  startedAt: v.number(),
  /** Its last sign of life, exact to the time between two. */
  seenAt: v.optional(v.number()),
  /** Jobs in its hands right now. */
  holds: v.number(),
});
export type WorkerView = Infer<typeof vWorkerView>;

export const vWorkerTokenView = v.object({ name: v.string(), createdAt: v.number(), isUp: v.boolean() });
export type WorkerTokenView = Infer<typeof vWorkerTokenView>;
