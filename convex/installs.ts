/** Servers being installed: a wish, the job that carries it out, how far it is, and what came of it. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import { installsKept, vInstallResult, vInstallStep, vInstallView, vInstallWish, type InstallView } from "./model/install.ts";
import { enqueue, findOpen } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

const textCharsMax = 4_000;
const itemsMax = 64;

/** Begins; how it goes on is seen with `list` and `get`. */
export const begin = ownerMutation({
  args: { wish: vInstallWish },
  returns: v.id("installs"),
  handler: async (turn, { wish }) => {
    const texts = [
      wish.name,
      ...Object.entries({ ...wish.values, ...wish.env }).flat(),
      ...wish.args,
      ...wish.secrets,
      ...wish.egress,
      ...wish.mounts,
    ];
    if (wish.name === "" || wish.name.length > 300) throw new NikaError("invalid", "Say which server, by its name.");
    if (texts.length > 4 * itemsMax || texts.some((text) => text.length > textCharsMax))
      throw new NikaError("full", "That is more than a server can be given.");
    const wrong = wish.egress.find((one) => !/^[a-z0-9.-]+:\d{1,5}$/i.test(one));
    if (wrong !== undefined)
      throw new NikaError("invalid", `"${wrong.slice(0, 100)}" is no "host:port", such as api.github.com:443.`);
    const key = wish.alias ?? wish.name;
    if (await findOpen(turn, "servers.install", key)) throw new NikaError("conflict", `${key} is being installed already.`);
    const old = await turn.db.query("installs").order("desc").take(itemsMax);
    for (const { _id } of old.slice(installsKept - 1)) await turn.db.delete(_id);
    const id = await turn.db.insert("installs", { wish, step: "look", at: turn.now });
    const jobId = await enqueue(turn, { kind: "servers.install", args: { installId: id }, label: wish.name, uniqueKey: key });
    await turn.db.patch(id, { jobId });
    return id;
  },
});

/** Newest first. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vInstallView),
  handler: async (ctx) => {
    const rows = await ctx.db.query("installs").order("desc").take(installsKept);
    return (await Promise.all(rows.map((row) => toView(ctx, row)))).flatMap((one) => one ?? []);
  },
});

export const get = ownerQuery({
  args: { id: v.id("installs") },
  returns: v.union(vInstallView, v.null()),
  handler: async (ctx, { id }) => {
    const row = await ctx.db.get(id);
    return row && (await toView(ctx, row));
  },
});

/** Its life is its job's, as long as that is kept. */
async function toView(ctx: QueryCtx | Turn, row: Doc<"installs">): Promise<InstallView | null> {
  const { _id, wish, step, note, result, at, jobId } = row;
  if (!jobId) return null;
  const job = await ctx.db.get(jobId);
  const ended = { done: "done", dead: "failed", cancelled: "stopped" } as const;
  const state =
    result || job?.state === "done"
      ? "done"
      : !job
        ? "failed"
        : job.state === "ready"
          ? "waiting"
          : job.state === "leased"
            ? "working"
            : ended[job.state];
  return {
    id: _id,
    name: wish.name,
    state,
    step,
    at,
    jobId,
    ...(wish.version !== undefined && { version: wish.version }),
    ...(wish.alias !== undefined && { alias: wish.alias }),
    ...(note !== undefined && note !== "" && { note }),
    ...(job?.error && state !== "done" && { problem: job.error }),
    ...(result && { result }),
  };
}

export const wish = systemQuery({
  args: { installId: v.id("installs") },
  returns: v.union(vInstallWish, v.null()),
  handler: async (ctx, { installId }) => (await ctx.db.get(installId))?.wish ?? null,
});

/** How far it is. One that is forgotten meanwhile is no error. */
export const told = systemMutation({
  args: { installId: v.id("installs"), step: vInstallStep, note: v.string(), result: v.optional(vInstallResult) },
  returns: v.null(),
  handler: async (turn, { installId, step, note, result }) => {
    if (await turn.db.get(installId))
      await turn.db.patch(installId, { step, note: note.slice(0, 300), ...(result && { result }) });
    return null;
  },
});
