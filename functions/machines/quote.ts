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
    const { choices, says } = await rank(ask, { state, providers, now: clock.now(), signal });
    const [best] = choices;
    if (!best) throw new NikaError("unavailable", says);
    const atMost = reserveOf(best.offer, bootAllowanceMs + ask.runMsMax + teardownAllowanceMs);
    const offers = choices.map(({ offer }) => offer);
    return state.mutation(internal.gpuJobs.keepQuote, { ask, by, offers, says, atMost });
  },
});
