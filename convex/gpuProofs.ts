/** What a paid test showed of a provider, dated: what it can is believed once it was seen. */
import { v } from "convex/values";
import { vMoney, vProviderId } from "./model/gpu.ts";
import { ownerQuery, systemMutation } from "./turn/guard.ts";

const listedMax = 100;
const factsMax = 50;
const factCharsMax = 500;

const vProof = {
  provider: vProviderId,
  passed: v.boolean(),
  facts: v.array(v.string()),
  cost: v.optional(vMoney),
};

export const record = systemMutation({
  args: vProof,
  returns: v.null(),
  handler: async (turn, { facts, ...proof }) => {
    const kept = facts.slice(0, factsMax).map((fact) => fact.slice(0, factCharsMax));
    await turn.db.insert("gpuProofs", { ...proof, facts: kept, at: turn.now });
    return null;
  },
});

/** The last one of each provider. */
export const list = ownerQuery({
  args: {},
  returns: v.array(v.object({ ...vProof, at: v.number() })),
  handler: async (ctx) => {
    const rows = await ctx.db.query("gpuProofs").order("desc").take(listedMax);
    const latest = new Map(rows.toReversed().map(({ _id, _creationTime, ...proof }) => [proof.provider, proof]));
    return [...latest.values()];
  },
});
