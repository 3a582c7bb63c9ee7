/** What was remembered of use, as lines that other programs read and write: taken in from their logs, and given out for who wants to see. */
import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { questionCharsMax } from "./model/answer.ts";
import { NikaError } from "./model/error.ts";
import { auditLinesMax, isKey, shownMax, toSession, usesKeptMs, vAuditLine, vAudited, type AuditLine } from "./model/use.ts";
import { ownerMutation, ownerQuery, type Turn } from "./turn/guard.ts";

/** Oldest first, some at a time. */
export const page = ownerQuery({
  args: { paginationOpts: paginationOptsValidator },
  returns: v.object({ lines: v.array(vAuditLine), cursor: v.union(v.string(), v.null()) }),
  handler: async (ctx, { paginationOpts }) => {
    const found = await ctx.db.query("uses").withIndex("by_at").paginate(paginationOpts);
    const lines = found.page.map(async (use): Promise<AuditLine> => {
      const reactions = await reactionsOf(ctx, use);
      const used = reactions.map(({ type, documentId, ordinal }) => ({ type, document: documentId, ordinal }));
      return { key: use.key, at: use.at, session: use.session, question: use.question, used };
    });
    return { lines: await Promise.all(lines), cursor: found.isDone ? null : found.continueCursor };
  },
});

/** Remembers what a log says of use elsewhere, as if it had happened here. Fails with `invalid` where nothing may be remembered. */
export const add = ownerMutation({
  args: { lines: v.array(vAuditLine) },
  returns: vAudited,
  handler: async (turn, { lines }) => {
    if (lines.length > auditLinesMax) throw new NikaError("invalid", `At most ${auditLinesMax} lines at a time.`);
    const scopes = (await turn.db.query("learning").first())?.scopes ?? [];
    if (scopes.length === 0)
      throw new NikaError("invalid", "Nothing may be remembered yet; allow it with `nika model use --allow private`.");
    const counts = { added: 0, known: 0, missing: 0, untimely: 0 };
    for (const line of lines) counts[await take(turn, line)] += 1;
    return counts;
  },
});

async function take(
  turn: Turn,
  { key, at, session, question, used }: AuditLine,
): Promise<"added" | "known" | "missing" | "untimely"> {
  if (!isKey(key) || question.trim() === "") throw new NikaError("invalid", "A line needs a key and a question.");
  if (at > turn.now || at < turn.now - usesKeptMs) return "untimely";
  const known = await turn.db
    .query("uses")
    .withIndex("by_key", (q) => q.eq("key", key))
    .unique();
  if (known) return "known";
  const found = new Map<string, { documentId: string; ordinal: number; type: AuditLine["used"][number]["type"] }>();
  for (const { type, document, ordinal } of used.slice(0, shownMax)) {
    const documentId = await documentOf(turn, document);
    if (documentId !== undefined) found.set(`${documentId} ${ordinal} ${type}`, { documentId, ordinal, type });
  }
  if (used.length > 0 && found.size === 0) return "missing";
  const shown = [
    ...new Map(
      [...found.values()].map(({ documentId, ordinal }) => [`${documentId} ${ordinal}`, { documentId, ordinal }]),
    ).values(),
  ];
  turn.tally.add("uses", "question", 1);
  const useId = await turn.db.insert("uses", {
    key,
    at,
    session: toSession(session),
    question: question.slice(0, questionCharsMax),
    shown,
  });
  turn.tally.add("uses", "reaction", found.size);
  for (const one of found.values()) await turn.db.insert("reactions", { useId, at, ...one });
  return "added";
}

async function documentOf(turn: Turn, name: string): Promise<string | undefined> {
  const id = turn.db.normalizeId("documents", name);
  if (id) return (await turn.db.get(id))?._id;
  const [one, other] = await turn.db
    .query("documents")
    .withIndex("by_name", (q) => q.eq("name", name))
    .take(2);
  return other ? undefined : one?._id;
}

const reactionsOf = (ctx: QueryCtx, use: Doc<"uses">) =>
  ctx.db
    .query("reactions")
    .withIndex("by_use", (q) => q.eq("useId", use._id))
    .take(shownMax);
