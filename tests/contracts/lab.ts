import assert from "node:assert/strict";
import { api, internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Outcome } from "../../convex/model/job.ts";
import type { State } from "../../functions/ports/state.ts";

/** A control plane of its own for one test, and the ways to reach it. */
export type Lab = State & {
  /** What the owner may do, as the owner. */
  readonly owner: State;
  /** Anybody, with whatever subject in a token the appliance signed; undefined is nobody. */
  readonly as: (subject: string | undefined) => State;
  /** Puts a file where an upload would have put it. */
  readonly upload: (content: string) => Promise<Id<"_storage">>;
  readonly close: () => Promise<void>;
};
export type OpenLab = () => Promise<Lab>;

/** Hands in one text file. */
export async function addText(lab: Lab, name: string, content: string): Promise<Id<"documents">> {
  const storageId = await lab.upload(content);
  const [added] = await lab.owner.mutation(api.documents.add, { files: [{ name, storageId }] });
  assert(added);
  return added.id;
}

export const read: Outcome = {
  type: "done",
  result: { type: "read", reading: { format: "text", title: "T", language: "en", passages: 3 } },
};

export type Worker = {
  readonly id: { readonly workerId: Id<"workers">; readonly epoch: number };
  /** Takes what is due, at most `limit` jobs. Clearing away what a failed reading left is done on the way. */
  readonly claim: (limit?: number) => Promise<{ jobId: Id<"jobs">; kind: string; attempt: number; token: string }[]>;
  /** True when it was recorded. */
  readonly settle: (job: { jobId: Id<"jobs">; token: string }, outcome: Outcome) => Promise<boolean>;
};

/** A worker moved by hand: nothing beats and nothing runs unless the test says so. */
export async function joinWorker(lab: Lab, name = "w"): Promise<Worker> {
  const { workerId, epoch } = await lab.mutation(internal.workers.hello, { name, slots: 8 });
  const id = { workerId, epoch };
  let claims = 0;
  const exchange = async (settle: { jobId: Id<"jobs">; token: string; outcome: Outcome }[], jobIds: Id<"jobs">[] = []) => {
    const token = `${name}-${epoch}-${(claims += 1)}`;
    const answer = await lab.mutation(internal.work.exchange, { ...id, settle, claim: { token, jobIds } });
    return { ...answer, claimed: answer.claimed.map(({ jobId, kind, attempt }) => ({ jobId, kind, attempt, token })) };
  };
  const claim = async (limit = 8): Promise<{ jobId: Id<"jobs">; kind: string; attempt: number; token: string }[]> => {
    const head = await lab.query(internal.work.head, { limit: 256 });
    const { claimed } = await exchange([], head.slice(0, limit));
    const clearing = claimed.filter(({ kind }) => kind === "documents.clear");
    const others = claimed.filter(({ kind }) => kind !== "documents.clear");
    if (clearing.length === 0) return others;
    await exchange(clearing.map(({ jobId, token }) => ({ jobId, token, outcome: { type: "done" } })));
    return others.length < limit ? [...others, ...(await claim(limit - others.length))] : others;
  };
  return {
    id,
    claim,
    async settle({ jobId, token }, outcome) {
      return (await exchange([{ jobId, token, outcome }])).settled[0] ?? false;
    },
  };
}

/** The only job of a list that must have exactly one. */
export function only<T>(items: readonly T[]): T {
  assert.equal(items.length, 1);
  return items[0] as T;
}
