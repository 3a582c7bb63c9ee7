import { codes, toNikaError } from "../../convex/model/error.ts";
import type { Outcome } from "../../convex/model/job.ts";
import type { Ports } from "../define.ts";
import type { Held } from "./held.ts";
import type { Progress } from "./progress.ts";
import { pick, type AnyJobFunction } from "./registry.ts";

/** A job as it was claimed. */
export type ClaimedJob = { readonly jobId: string; readonly kind: string; readonly args: unknown; readonly attempt: number };

export type RunnerOptions = {
  readonly find: (kind: string) => AnyJobFunction | undefined;
  /** What the run of a job may use: the same for all where this process is trusted with everything. */
  readonly portsOf: (held: Held) => Ports;
  readonly log: (line: string) => void;
  readonly progress: Progress;
};

export type Runner = (job: ClaimedJob, held: Held) => Promise<Outcome>;

/** Runs one job to its outcome. Never throws: what a function throws becomes `failed`, and the cause goes to the log. */
export function openRunner({ find, portsOf, log, progress }: RunnerOptions): Runner {
  return async (job, held) => {
    const f = find(job.kind);
    if (!f)
      return { type: "failed", code: "bug", message: `This version of Nika does not know how to do ${job.kind}.`, retry: false };
    const report = (done: number, total: number): void => {
      if (!held.signal.aborted) progress.report(held, done, total);
    };
    try {
      return await f.run(
        { jobId: job.jobId, token: held.token, args: job.args, attempt: job.attempt, signal: held.signal, progress: report },
        pick(portsOf(held), f.needs as (keyof Ports)[]),
      );
    } catch (thrown) {
      // It was told to stop and did: that is no failure. A lost lease is not settled at all.
      if (held.signal.aborted) return { type: "snoozed", delayMs: 0 };
      const error = toNikaError(thrown);
      log(`${job.kind} ${job.jobId} try ${job.attempt}: ${error.code}: ${error.message}${causeOf(error)}`);
      return { type: "failed", code: error.code, message: error.message, retry: codes[error.code].retry };
    } finally {
      progress.drop(held);
    }
  };
}

function causeOf({ cause }: Error): string {
  if (cause === undefined) return "";
  return cause instanceof Error ? `\n${cause.stack ?? cause.message}` : `\n${JSON.stringify(cause)}`;
}
