/** How files become documents: the same bytes are one document, the same file with other bytes is a new version of it. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { keyCharsMax, problemMessages, toBaseName, toDocumentName, toHex, type Added, type Problem } from "../model/document.ts";
import { NikaError } from "../model/error.ts";
import type { Seen } from "../model/watch.ts";
import { deleteDocument, insertDocument, retire, startReading } from "./document.ts";
import { forgetDocument, forgetVersion } from "./forget.ts";
import type { Turn } from "./guard.ts";

type Document = Doc<"documents">;
type Source = Doc<"sources">;

/** Where bytes were found. `key` names a file whose bytes may change; `parent` the holder they came out of. */
export type Origin = {
  readonly name: string;
  readonly key?: string | undefined;
  readonly seen?: Seen | undefined;
  readonly parent?: { readonly document: Document; readonly entry: number } | undefined;
  readonly batchId?: Id<"batches"> | undefined;
};

/** Names under which the same bytes are remembered. Files in watched folders and holders are remembered all. */
const aliasesMax = 100;

/** An uploaded file becomes a document, or another name of one. */
export async function takeIn(turn: Turn, storageId: Id<"_storage">, given: Origin): Promise<Added> {
  const origin = checked(given);
  const { name } = origin;
  const stored = await turn.db.system.get(storageId);
  if (!stored) throw new NikaError("invalid", `The upload of ${name} is not there; upload it again.`);
  await dropRefused(turn, name);
  const sha256 = toHex(stored.sha256);
  const same = await findSame(turn, sha256);
  if (same) {
    // The caller may repeat itself after a lost answer; then it is the document's own file.
    if (same.storageId !== storageId) await turn.storage.delete(storageId);
    return takeAgain(turn, same, origin);
  }
  const before = await findKeyed(turn, origin);
  const id = await insertDocument(turn, {
    name,
    baseName: toBaseName(name),
    state: "waiting",
    sizeBytes: stored.size,
    sha256,
    storageId,
    addedAt: turn.now,
    ...(origin.batchId && { batchId: origin.batchId }),
    ...parentage(origin),
    ...(before && (await nextVersion(turn, before))),
  });
  await remember(turn, id, origin);
  await startReading(turn, await mustGet(turn, id));
  return { id, name, state: "waiting", isNew: true };
}

/** Bytes that Nika has: one more name for them. What failed before is tried once more. */
export async function takeAgain(turn: Turn, same: Document, given: Origin): Promise<Added> {
  const origin = checked(given);
  const before = await findKeyed(turn, origin);
  await remember(turn, same._id, origin);
  // The file had other bytes, of a document that has now lost its place to this one.
  if (before && before._id !== same._id) await letGo(turn, before, "replaced");
  if (origin.batchId) turn.sums.known(origin.batchId, 1);
  const { _id: id, name } = same;
  if (!hasFailed(same)) return { id, name, state: same.state, isNew: false };
  await startReading(turn, same);
  return { id, name, state: "waiting", isNew: false };
}

/** A file that could not even be read where it lies, or in its holder: kept as a row, so that the owner sees what is missing and why. */
export async function refuse(
  turn: Turn,
  file: { readonly name: string; readonly sizeBytes: number; readonly problem: Problem },
  batchId: Id<"batches"> | undefined,
  origin?: Origin,
): Promise<Added> {
  const { problem } = file;
  const name = toDocumentName(file.name);
  const replaced = await dropRefused(turn, name);
  const id = await insertDocument(turn, {
    name,
    baseName: toBaseName(name),
    state: "unreadable",
    sizeBytes: Number.isFinite(file.sizeBytes) && file.sizeBytes > 0 ? Math.floor(file.sizeBytes) : 0,
    addedAt: turn.now,
    problem: { problem, message: problemMessages[problem] },
    ...(batchId && { batchId }),
    ...(origin && parentage(origin)),
  });
  if (origin) await remember(turn, id, origin);
  return { id, name, state: "unreadable", isNew: !replaced };
}

/** The document made of these bytes, unless it is on its way out or gave way to a newer version. */
export async function findSame(ctx: QueryCtx | Turn, sha256: string): Promise<Document | undefined> {
  const same = await ctx.db
    .query("documents")
    .withIndex("by_sha256", (q) => q.eq("sha256", sha256))
    .collect();
  return same.find((document) => document.state !== "forgetting" && document.isOld !== true);
}

export const hasFailed = (document: Document): boolean =>
  document.state === "unreadable" && document.problem?.problem === "failed" && document.storageId !== undefined;

/** Its place knows it no longer. When that was the last one the document goes: into history, or for good. */
export async function letGo(turn: Turn, document: Document, how: "replaced" | "forgotten"): Promise<void> {
  const other = await turn.db
    .query("sources")
    .withIndex("by_documentId", (q) => q.eq("documentId", document._id))
    .first();
  if (other || document.state === "forgetting" || document.isOld) return;
  if (how === "forgotten") await forgetDocument(turn, document);
  else if (document.state === "ready") await retire(turn, document);
  else await forgetVersion(turn, document);
}

function checked(origin: Origin): Origin {
  const key = origin.key;
  if (key !== undefined && (key === "" || key.length > keyCharsMax))
    throw new NikaError("invalid", `A key has 1 to ${keyCharsMax} characters.`);
  return { ...origin, name: toDocumentName(origin.name) };
}

const parentage = ({ parent }: Origin) =>
  parent && {
    parentId: parent.document._id,
    rootId: parent.document.rootId ?? parent.document._id,
    depth: (parent.document.depth ?? 0) + 1,
  };

/** What the file was before, if it was anything that still counts. */
async function findKeyed(turn: Turn, origin: Origin): Promise<Document | undefined> {
  const documentId = (await findSource(turn, origin))?.documentId;
  const document = documentId && (await turn.db.get(documentId));
  return document && document.state !== "forgetting" && !document.isOld ? document : undefined;
}

async function findSource(turn: Turn, { key, parent }: Origin): Promise<Source | null> {
  if (parent)
    return turn.db
      .query("sources")
      .withIndex("by_parent", (q) => q.eq("parentId", parent.document._id).eq("entry", parent.entry))
      .first();
  if (key === undefined) return null;
  return turn.db
    .query("sources")
    .withIndex("by_key", (q) => q.eq("key", key))
    .first();
}

/** Other names of a document have bytes of their own account: then the newer one is a document of its own. */
async function nextVersion(turn: Turn, before: Document) {
  const names = await turn.db
    .query("sources")
    .withIndex("by_documentId", (q) => q.eq("documentId", before._id))
    .take(2);
  if (names.length > 1) return {};
  const family = before.family ?? before._id;
  const newest = await turn.db
    .query("documents")
    .withIndex("by_family", (q) => q.eq("family", family))
    .order("desc")
    .first();
  if (!before.family) await turn.db.patch(before._id, { family, version: 1 });
  return { family, version: (newest?.version ?? 1) + 1, ...(before.labels && { labels: before.labels }) };
}

async function remember(turn: Turn, documentId: Id<"documents">, origin: Origin): Promise<void> {
  const { name, key, seen, parent } = origin;
  const row = {
    documentId,
    name,
    baseName: toBaseName(name),
    ...(key !== undefined && { key }),
    ...(parent && { parentId: parent.document._id, entry: parent.entry }),
    ...(seen && { seen }),
  };
  const known = await findSource(turn, origin);
  // A file that a watch follows is still followed when somebody hands it in by hand.
  if (known) return turn.db.replace(known._id, { ...row, ...(known.seen && !seen && { seen: known.seen }) });
  if (key === undefined && !parent) {
    const names = await turn.db
      .query("sources")
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
      .take(aliasesMax);
    if (names.length === aliasesMax || names.some((one) => one.name === name && one.key === undefined)) return;
  }
  await turn.db.insert("sources", row);
}

/** A refused file of this name gives way to what is known about it now. */
async function dropRefused(turn: Turn, name: string): Promise<boolean> {
  const refused = await turn.db
    .query("documents")
    .withIndex("by_name", (q) => q.eq("name", name).eq("sha256", undefined))
    .collect();
  for (const document of refused) await deleteDocument(turn, document);
  return refused.length > 0;
}

export async function mustGet(turn: Turn, id: Id<"documents">): Promise<Document> {
  const document = await turn.db.get(id);
  if (!document) throw new NikaError("missing", "There is no such document.");
  return document;
}
