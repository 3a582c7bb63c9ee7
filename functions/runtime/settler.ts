import { setTimeout as delay } from "node:timers/promises";
import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Outcome } from "../../convex/model/job.ts";
import type { State } from "../ports/state.ts";

type Request = FunctionArgs<typeof internal.work.exchange>;
type Answer = FunctionReturnType<typeof internal.work.exchange>;
export type Settlement = Request["settle"][number];

const retryEveryMs = 500;
/** A batch refused this often is taken apart to find the one outcome that spoils it. */
const refusalsMax = 3;

export type ExchangeOptions = {
  readonly state: State;
  readonly log: (line: string) => void;
  /** Fires when this incarnation holds nothing any more: then there is nothing to hand in. */
  readonly signal: AbortSignal;
  /** Adds the new work of the request in another way; then it goes on without. Never fails. */
  readonly addApart: () => Promise<void>;
};

/**
 * Hands in outcomes and asks for jobs, until it is answered. Repeating is harmless, because the control plane goes by tokens: an
 * outcome is recorded once, and the same claim gives the same jobs. Undefined when `signal` fired first.
 */
export async function exchange(request: Request, options: ExchangeOptions): Promise<Answer | undefined> {
  const { state, log, signal } = options;
  for (let refusals = 1; !signal.aborted; refusals += 1) {
    try {
      return await state.mutation(internal.work.exchange, request);
    } catch (error) {
      log(`outcomes were not recorded: ${String(error)}`);
    }
    if (request.add) {
      // Somebody waits for each of these, and one that cannot be added must hold up neither the others nor what was done.
      await options.addApart();
      const { add: _add, ...rest } = request;
      return exchange(rest, options);
    }
    if (refusals >= refusalsMax && request.settle.length > 0) return apart(request, options);
    await delay(retryEveryMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/** One by one, so that one outcome which cannot be recorded does not take the others with it. */
async function apart(request: Request, options: ExchangeOptions): Promise<Answer | undefined> {
  const none = { token: request.claim.token, jobIds: [] };
  const settled: boolean[] = [];
  for (const settlement of request.settle) {
    const answer = await alone({ ...request, claim: none, settle: [settlement] }, options);
    if (!answer?.isCurrent) return answer && { ...answer, settled: request.settle.map(() => false) };
    settled.push(answer.settled[0] ?? false);
  }
  const answer = await exchange({ ...request, settle: [] }, options);
  return answer && { ...answer, settled };
}

async function alone(request: Request, { state, log, signal }: ExchangeOptions): Promise<Answer | undefined> {
  for (let refusals = 1; !signal.aborted; refusals += 1) {
    const settle = refusals <= refusalsMax ? request.settle : request.settle.map(unrecordable);
    try {
      return await state.mutation(internal.work.exchange, { ...request, settle });
    } catch (error) {
      log(`the outcome of ${request.settle[0]?.jobId} was not recorded: ${String(error)}`);
    }
    await delay(retryEveryMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

const failure: Outcome = { type: "failed", code: "bug", message: "What came out of it could not be recorded.", retry: false };
const unrecordable = (settlement: Settlement): Settlement => ({ ...settlement, outcome: failure });

export const toSettlement = (jobId: string, token: string, outcome: Outcome): Settlement => ({
  jobId: jobId as Id<"jobs">,
  token,
  outcome,
});
