/** Who else than the owner may use the bridge: agents, each at its target, and their clients. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import { nameCharsMax, tokensMax, vTokenRole, vTokenView, type TokenView } from "./model/bridge.ts";
import { NikaError } from "./model/error.ts";
import { addTarget, mustGetTarget } from "./turn/bridge.ts";
import { ownerMutation, ownerQuery, systemQuery } from "./turn/guard.ts";
import { checkNewToken } from "./turn/token.ts";

/** Without their secrets, which nobody has but their holders. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vTokenView),
  handler: async (ctx) => (await ctx.db.query("bridgeTokens").take(tokensMax)).map(toTokenView),
});

/** `hash`: the hex SHA-256 of a secret that whoever made it shows once. An agent's target is added with it. */
export const add = ownerMutation({
  args: { name: v.string(), role: vTokenRole, target: v.optional(v.string()), hash: v.string() },
  returns: v.null(),
  handler: async (turn, { name: raw, role, target, hash }) => {
    const name = raw.trim();
    if (!/^[\p{L}\p{N}][\p{L}\p{N} ._:@-]*$/u.test(name) || name.length > nameCharsMax)
      throw new NikaError("invalid", `A token's name has letters, digits and . _ : @ -, at most ${nameCharsMax}.`);
    if (role === "agent" && target === undefined) throw new NikaError("invalid", "Say which target the agent works for.");
    await checkNewToken(turn, "bridgeTokens", { name, hash, max: tokensMax, revoke: "nika bridge token revoke" });
    const own =
      target === undefined ? undefined : role === "agent" ? await addTarget(turn, target) : await mustGetTarget(turn, target);
    await turn.db.insert("bridgeTokens", { name, role, hash, createdAt: turn.now, ...(own && { target: own.name }) });
    return null;
  },
});

/** From now on it opens nothing. */
export const revoke = ownerMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    const token = await turn.db
      .query("bridgeTokens")
      .withIndex("by_name", (q) => q.eq("name", name.trim()))
      .unique();
    if (!token) throw new NikaError("missing", "There is no such token; see `nika bridge token list`.");
    await turn.db.delete(token._id);
    return null;
  },
});

/** Whose secret that is, by its hash; null for a stranger's. */
export const authorize = systemQuery({
  args: { hash: v.string() },
  returns: v.union(vTokenView, v.null()),
  handler: async (ctx, { hash }) => {
    const token = await ctx.db
      .query("bridgeTokens")
      .withIndex("by_hash", (q) => q.eq("hash", hash))
      .unique();
    return token && toTokenView(token);
  },
});

function toTokenView({ name, role, target, createdAt }: Doc<"bridgeTokens">): TokenView {
  return { name, role, createdAt, ...(target !== undefined && { target }) };
}
