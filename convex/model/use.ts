/** What is remembered of how searches were used, for who learns from it. Only the owner's machine holds it, and only where it may. */
import { v, type Infer } from "convex/values";

/** A passage, named as everywhere: the document and its position in it. */
export const vPassageName = v.object({ documentId: v.string(), ordinal: v.number() });
export type PassageName = Infer<typeof vPassageName>;

/** What somebody did with a passage that was shown. */
export const vReactionType = v.union(
  v.literal("opened"),
  v.literal("cited"),
  v.literal("copied"),
  v.literal("liked"),
  v.literal("disliked"),
);
export type ReactionType = Infer<typeof vReactionType>;

/** A question that was asked, and what was shown. */
export type Asked = {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Who or what asked in one go: a browser's session, an agent's. */
  readonly session: string;
  readonly question: string;
  readonly shown: readonly PassageName[];
};

export type Reaction = { readonly askId: string; readonly at: number; readonly type: ReactionType } & PassageName;

/** A use as it is handed on: what was asked, and everything that was done with what was shown. */
export const vUse = v.object({
  key: v.string(),
  at: v.number(),
  session: v.string(),
  question: v.string(),
  shown: v.array(vPassageName),
  reactions: v.array(v.object({ type: vReactionType, at: v.number(), ...vPassageName.fields })),
});
export type Use = Infer<typeof vUse>;

/** A use as another log tells it: a line of JSON. */
export const vAuditLine = v.object({
  /** Made of the line's content: the same line twice is one use. */
  key: v.string(),
  at: v.number(),
  session: v.string(),
  question: v.string(),
  /** `document`: its id, or its name where only one has it. */
  used: v.array(v.object({ type: vReactionType, document: v.string(), ordinal: v.number() })),
});
export type AuditLine = Infer<typeof vAuditLine>;

/** What became of lines, a count each. */
export const vAudited = v.object({
  added: v.number(),
  /** Remembered already. */
  known: v.number(),
  /** Of these no document is here, or several are of that name. */
  missing: v.number(),
  /** From the future, or longer ago than anything is kept. */
  untimely: v.number(),
});
export type Audited = Infer<typeof vAudited>;
/** In one transaction. */
export const auditLinesMax = 100;

export const vLearning = v.object({
  /** Of documents, what may be learned from; none means that nothing is remembered. */
  scopes: v.array(v.string()),
  questions: v.number(),
  reactions: v.number(),
});

/** Enough for years of one firm; the oldest go first. */
export const usesKeptMax = 50_000;
export const usesKeptMs = 2 * 365 * 24 * 3_600_000;
export const shownMax = 50;
export const scopesKnown = ["private", "team", "tenant", "public"] as const;
const sessionCharsMax = 80;
const keyCharsMax = 80;

/** What names a use or a session came from outside: short and plain, or nothing. */
export const isKey = (key: string): boolean => key !== "" && key.length <= keyCharsMax && /^[\w .,:-]+$/u.test(key);
export const toSession = (session: string): string => (isKey(session) ? session.slice(0, sessionCharsMax) : "");
