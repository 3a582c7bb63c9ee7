/**
 * The paid proof of a provider: a machine is rented for real, says what it is, and is then given no answer any more. It has to end itself, and
 * its provider has to stop showing it as billed, before Nika says a word to either. What came of it is written down with its date.
 */
import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { Money, ProviderId } from "../../convex/model/gpu.ts";
import { isJobOver, type GpuAsk } from "../../convex/model/gpuJob.ts";
import type { Providers } from "../../functions/ports/gpu.ts";
import type { State } from "../../functions/ports/state.ts";
import { proofVariable } from "./door/office.ts";
import type { Proof } from "./routes.ts";

/** The agent's own command that does nothing for so many seconds: no image has to have anything in it. */
const restSeconds = 8;
const runMsMax = 10 * 60_000;
/** A machine that did not report by then is not going to. */
const bootMsMax = 20 * 60_000;
/** It has a minute for itself; silence is noticed by Nika's own watch after two. */
const endMsMax = 115_000;
const lookMs = 2_000;

/** What is quoted for it: any machine, with a GPU where the provider has some. */
export const proofAsk = (provider: ProviderId, hasGpu: boolean): GpuAsk => ({
  label: `proof of ${provider}`,
  command: [":", String(restSeconds)],
  environment: { [proofVariable]: "1" },
  need: hasGpu ? { gpu: { count: 1, memoryMb: 0 } } : {},
  runMsMax,
  providers: [provider],
});

export type ProvingOptions = {
  readonly state: State;
  readonly providers: Providers;
  readonly mute: (machineId: string) => void;
  readonly signal: AbortSignal;
};

/** Takes a quote for `proofAsk`. Fails with `conflict` when the quote is old, and otherwise says what passed. */
export async function prove(quoteId: string, { state, providers, mute, signal }: ProvingOptions): Promise<Proof> {
  const id = await state.mutation(internal.gpuJobs.runFor, { quoteId, by: "owner" });
  const facts: string[] = [];
  const view = async () => {
    const found = await state.query(internal.gpuJobs.results, { id });
    if (!found) throw new NikaError("missing", "The proof's job was forgotten.");
    return found;
  };
  const begun = performance.now();
  const elapsed = (from: number): number => performance.now() - from;
  const seconds = (from: number): string => `${Math.round(elapsed(from) / 1000)} s`;
  try {
    let now = await view();
    while (now.facts.length === 0 && !isJobOver(now.view.state) && now.view.state !== "parked") {
      if (elapsed(begun) > bootMsMax) throw new NikaError("timeout", "The machine did not report in time; it is being ended.");
      await delay(lookMs, undefined, { signal });
      now = await view();
    }
    const { offer, machineId } = now.view;
    if (now.facts.length === 0 || !offer || machineId === undefined)
      throw new NikaError("unavailable", now.view.problem?.message ?? "No machine was to be had.");
    const { provider: providerId } = offer;
    facts.push(`A machine reported after ${seconds(begun)}: ${offer.type}, ${offer.region}.`, ...now.facts);
    const machine = (await state.query(internal.machines.all, {})).find((one) => one.id === machineId);
    if (!machine?.ref) throw new NikaError("unavailable", "The machine went before it could be proven.");
    const { ref, createdAt } = machine;
    mute(machineId);
    const muted = performance.now();
    const provider = await providers.open(providerId);
    let isGone = false;
    while (!isGone && elapsed(muted) < endMsMax) {
      await delay(lookMs, undefined, { signal });
      const shown = await provider.describe(ref, signal);
      isGone = shown === undefined || shown.state === "gone" || (shown.state === "stopped" && !shown.isBilled);
    }
    facts.push(
      isGone
        ? `Given no answer, it ended itself within ${seconds(muted)}, and ${providerId} does not bill it any more.`
        : `Given no answer, it was still there after ${seconds(muted)}; Nika ends it now.`,
    );
    const cost = await provider.billed?.(ref, signal).catch(() => undefined);
    facts.push(costLine(cost, offer.hourly, Date.now() - createdAt));
    await state.mutation(internal.gpuProofs.record, { provider: providerId, passed: isGone, facts, ...(cost && { cost }) });
    return { passed: isGone, facts };
  } finally {
    await state.mutation(internal.gpuJobs.cancelFor, { id }).catch(() => undefined);
  }
}

const micros = 1_000_000;
function costLine(billed: Money | undefined, hourly: Money, livedMs: number): string {
  if (billed) return `It was billed ${billed.micros / micros} ${billed.currency}.`;
  const about = (hourly.micros / micros) * (livedMs / 3_600_000);
  return `By its price it came to ${about.toFixed(4)} ${hourly.currency}; the provider does not tell yet.`;
}
