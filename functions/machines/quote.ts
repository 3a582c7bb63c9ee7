import type { Infer } from "convex/values";
import { internal } from "../../convex/_generated/api.js";
import { reserveOf } from "../../convex/model/budget.ts";
import { bootAllowanceMs, teardownAllowanceMs, type GpuAsk, type vQuoteView } from "../../convex/model/gpuJob.ts";
import { NikaError } from "../../convex/model/error.ts";
import { defineCall } from "../define.ts";
import { rank } from "./offers.ts";

/** What it would cost at most, where, and why there. Nothing is spent; the quote is good for ten minutes. `by`: "owner", or an agent's name. */
export const quoteGpuJob = defineCall({
  name: "machines.quote",
  needs: ["state", "providers", "clock"],
  deadlineMs: 60_000,
  run: async (
    { ask, by }: { readonly ask: GpuAsk; readonly by: string },
    { state, providers, clock },
    signal,
  ): Promise<Infer<typeof vQuoteView>> => {
    if (!providers) throw new NikaError("unavailable", "Nothing can be rented from here.");
    const { choices, says } = await rank(ask, { state, providers, now: clock.now(), signal, mayWait: true });
    const [best] = choices;
    if (!best) throw new NikaError("unavailable", whyNone(ask, providers.list(), says));
    const atMost = reserveOf(best.offer, bootAllowanceMs + ask.runMsMax + teardownAllowanceMs);
    const offers = choices.map(({ offer }) => offer);
    return state.mutation(internal.gpuJobs.keepQuote, { ask, by, offers, says, atMost });
  },
});

/** What can be done about it comes before what was left out. */
function whyNone({ providers: only, need }: GpuAsk, setUp: readonly string[], says: string): string {
  const lacking = only?.filter((id) => !setUp.includes(id)) ?? [];
  if (only && lacking.length === only.length)
    return `${lacking.join(", ")} is not set up; \`nika gpu connect ${lacking[0] ?? ""}\` does that.`;
  const asked = setUp.filter((id) => only?.includes(id) ?? true).join(", ");
  const wanted = need.gpu ? "with such a GPU" : "that will do";
  return `No machine ${wanted} is to be had from ${asked}; ask for less, or see \`nika gpu connect\`. ${says}`;
}
