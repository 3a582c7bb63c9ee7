/** MCP servers and calls of their tools, as the owner sees them; and who else than the owner may use them all through one door. */
import { v } from "convex/values";
import { NikaError } from "./model/error.ts";
import { callsKeptMax, serversMax, serverTokensMax, vLedgerHead, vServerFacts, vToolCall } from "./model/serverView.ts";
import { record } from "./turn/event.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";
import { takeIn } from "./turn/intake.ts";
import { readTally } from "./turn/tally.ts";
import { checkNewToken } from "./turn/token.ts";

const listedMax = 200;
/** Old calls go in steps, not one with each new one. */
const trimmedPerTurn = 200;

/** All of them, by name. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vServerFacts),
  handler: async (ctx) => {
    const rows = await ctx.db.query("servers").withIndex("by_name").take(serversMax);
    return rows.map(({ _id, _creationTime, ...facts }) => facts);
  },
});

/** Newest first. */
export const calls = ownerQuery({
  args: { limit: v.optional(v.number()), server: v.optional(v.string()) },
  returns: v.array(vToolCall),
  handler: async (ctx, { limit = 50, server }) => {
    if (!Number.isInteger(limit) || limit < 1 || limit > listedMax)
      throw new NikaError("invalid", `The limit must be from 1 to ${listedMax}.`);
    const rows =
      server === undefined
        ? await ctx.db.query("toolCalls").withIndex("by_seq").order("desc").take(limit)
        : await ctx.db
            .query("toolCalls")
            .withIndex("by_server", (q) => q.eq("server", server))
            .order("desc")
            .take(limit);
    return rows.map(({ _id, _creationTime, ...call }) => call);
  },
});

/** What is not among these names is gone. */
export const retain = systemMutation({
  args: { names: v.array(v.string()) },
  returns: v.null(),
  handler: async (turn, { names }) => {
    const kept = new Set(names);
    for (const row of await turn.db.query("servers").take(serversMax)) if (!kept.has(row.name)) await turn.db.delete(row._id);
    return null;
  },
});

/** How these servers stand now. */
export const report = systemMutation({
  args: { servers: v.array(vServerFacts) },
  returns: v.null(),
  handler: async (turn, { servers }) => {
    for (const facts of servers) {
      const row = await turn.db
        .query("servers")
        .withIndex("by_name", (q) => q.eq("name", facts.name))
        .unique();
      if (!row) {
        await turn.db.insert("servers", facts);
        continue;
      }
      const { _id, _creationTime, ...before } = row;
      await turn.db.replace(_id, facts);
      await tellTrouble(turn, before, facts);
    }
    return null;
  },
});

type Facts = Parameters<typeof waitingIn>[0] & { readonly name: string; readonly state: string; readonly problem?: string };

const waitingIn = ({ tools }: { readonly tools: readonly { readonly standing: string; readonly name: string }[] }): string[] =>
  tools.filter(({ standing }) => standing === "changed" || standing === "renamed").map(({ name }) => name);

/** What the owner wants to hear about: tools that are not what was approved any more, and a server that fails. */
async function tellTrouble(turn: Turn, before: Facts, after: Facts): Promise<void> {
  const known = new Set(waitingIn(before));
  const fresh = waitingIn(after).filter((name) => !known.has(name));
  if (fresh.length > 0) {
    const text = `${after.name} changed ${fresh.join(", ").slice(0, 200)}; nobody can use that until you approve it.`;
    await record(turn, { type: "toolChanged", name: after.name, text });
  }
  if (after.state === "failed" && before.state !== "failed")
    await record(turn, {
      type: "serverFailed",
      name: after.name,
      text: `The MCP server ${after.name} does not run: ${after.problem ?? ""}`,
    });
}

/** Calls that were made, and how far the log reaches with them. */
export const recordCalls = systemMutation({
  args: { calls: v.array(vToolCall), head: vLedgerHead },
  returns: v.null(),
  handler: async (turn, { calls: made, head }) => {
    for (const call of made.slice(-callsKeptMax)) await turn.db.insert("toolCalls", call);
    const newest = made.at(-1)?.seq ?? 0;
    const old = await turn.db
      .query("toolCalls")
      .withIndex("by_seq", (q) => q.lt("seq", newest - callsKeptMax))
      .take(trimmedPerTurn);
    for (const { _id } of old) await turn.db.delete(_id);
    const row = await turn.db.query("ledgers").first();
    if (row) await turn.db.patch(row._id, head);
    else await turn.db.insert("ledgers", head);
    return null;
  },
});

/** How far the log of events reached when it was last told. */
export const head = ownerQuery({
  args: {},
  returns: v.union(vLedgerHead, v.null()),
  handler: async (ctx) => {
    const row = await ctx.db.query("ledgers").first();
    return row && { seq: row.seq, hash: row.hash };
  },
});

/** The same for the appliance, which compares it with the log it finds when it starts. */
export const lastHead = systemQuery({
  args: {},
  returns: v.union(vLedgerHead, v.null()),
  handler: async (ctx) => {
    const row = await ctx.db.query("ledgers").first();
    return row && { seq: row.seq, hash: row.hash };
  },
});

/** What Nika holds and does, in numbers, for agents that ask. */
export const overview = systemQuery({
  args: {},
  returns: v.object({
    documents: v.record(v.string(), v.number()),
    jobs: v.record(v.string(), v.number()),
    working: v.array(v.object({ id: v.string(), kind: v.string(), label: v.string(), state: v.string() })),
  }),
  handler: async (ctx) => {
    const [documents, jobs] = [await readTally(ctx.db, "documents"), await readTally(ctx.db, "jobs")];
    const counted = (count: (key: string) => number, keys: readonly string[]): Record<string, number> =>
      Object.fromEntries(keys.map((key) => [key, count(key)]));
    const open = [];
    for (const state of ["leased", "ready", "dead"] as const)
      open.push(
        ...(await ctx.db
          .query("jobs")
          .withIndex("by_state", (q) => q.eq("state", state))
          .order("desc")
          .take(20)),
      );
    return {
      documents: counted(documents, ["waiting", "reading", "staged", "ready", "unreadable", "passages"]),
      jobs: counted(jobs, ["ready", "leased", "done", "dead", "cancelled"]),
      working: open.map(({ _id, kind, label, state }) => ({ id: _id, kind, label, state })),
    };
  },
});

/** A text or file that an agent hands in becomes a document like any other. */
export const takeText = systemMutation({
  args: { name: v.string(), storageId: v.id("_storage") },
  returns: v.object({ id: v.id("documents"), name: v.string(), isNew: v.boolean() }),
  handler: async (turn, { name, storageId }) => {
    const added = await takeIn(turn, storageId, { name });
    return { id: added.id, name: added.name, isNew: added.isNew };
  },
});

// --- who may come in

/** Names only; the secrets are nowhere. */
export const tokens = ownerQuery({
  args: {},
  returns: v.array(v.object({ name: v.string(), createdAt: v.number() })),
  handler: async (ctx) => {
    const rows = await ctx.db.query("serverTokens").take(serverTokensMax);
    return rows.map(({ name, createdAt }) => ({ name, createdAt }));
  },
});

/** `hash` is SHA-256 of the secret, in hex. */
export const addToken = ownerMutation({
  args: { name: v.string(), hash: v.string() },
  returns: v.null(),
  handler: async (turn, { name, hash }) => {
    if (!/^[\w .:@-]{1,64}$/u.test(name))
      throw new NikaError("invalid", "A token's name has 1 to 64 letters, digits, and . : @ _ -.");
    await checkNewToken(turn, "serverTokens", { name, hash, max: serverTokensMax, revoke: "nika mcp token revoke" });
    await turn.db.insert("serverTokens", { name, hash, createdAt: turn.now });
    return null;
  },
});

export const revokeToken = ownerMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    const row = (await turn.db.query("serverTokens").take(serverTokensMax)).find((one) => one.name === name);
    if (!row) throw new NikaError("missing", `There is no token for ${name}; see \`nika mcp token list\`.`);
    await turn.db.delete(row._id);
    return null;
  },
});

/** Hashes of all, for the appliance, which is shown the secrets and told at once when one is revoked. */
export const tokenHashes = systemQuery({
  args: {},
  returns: v.array(v.object({ name: v.string(), hash: v.string() })),
  handler: async (ctx) => {
    const rows = await ctx.db.query("serverTokens").take(serverTokensMax);
    return rows.map(({ name, hash }) => ({ name, hash }));
  },
});
