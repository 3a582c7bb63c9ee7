/** What the documents of a batch add up to, kept with each change of one, so that a summary never costs a scan. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { DatabaseReader, DatabaseWriter } from "../_generated/server.js";
import { doneOf, noSums, sampled, type BatchSums, type Grouping } from "../model/batch.ts";
import { domainDefault, toFolder, type DocumentLabels } from "../model/document.ts";

type BatchId = Id<"batches">;
type Document = Omit<Doc<"documents">, "_id" | "_creationTime">;
type Group = { readonly by: Grouping; readonly value: string; documents: number; sizeBytes: number; staged: number };
type Change = { readonly sums: Map<keyof BatchSums, number>; readonly groups: Map<string, Group> };

/** Collects changes during one mutation; written once at its end. */
export type Sums = {
  /** The document was as `before` (absent: new) and is as `after` (absent: gone). */
  readonly moved: (before: Document | undefined, after: Document | undefined) => void;
  /** Files of a batch that were nothing new. */
  readonly known: (batchId: BatchId, files: number) => void;
  readonly write: (db: DatabaseWriter, now: number) => Promise<void>;
};

export function openSums(): Sums {
  const changes = new Map<BatchId, Change>();
  const changeOf = (batchId: BatchId): Change => {
    const change = changes.get(batchId) ?? { sums: new Map(), groups: new Map() };
    changes.set(batchId, change);
    return change;
  };
  const count = (document: Document, sign: 1 | -1): void => {
    if (!document.batchId) return;
    const { sums, groups } = changeOf(document.batchId);
    for (const [key, by] of amountsOf(document)) sums.set(key, (sums.get(key) ?? 0) + sign * by);
    for (const { by, value } of groupsOf(document)) {
      const id = `${by} ${value}`;
      const group = groups.get(id) ?? { by, value, documents: 0, sizeBytes: 0, staged: 0 };
      group.documents += sign;
      group.sizeBytes += sign * document.sizeBytes;
      if (document.state === "staged") group.staged += sign;
      groups.set(id, group);
    }
  };
  return {
    moved(before, after) {
      if (before) count(before, -1);
      if (after) count(after, 1);
    },
    known(batchId, files) {
      const { sums } = changeOf(batchId);
      sums.set("known", (sums.get("known") ?? 0) + files);
    },
    async write(db, now) {
      for (const [batchId, change] of changes) {
        // A batch that was swept away counts nothing any more.
        if (!(await db.get(batchId))) continue;
        await writeSums(db, batchId, change.sums, now);
        for (const group of change.groups.values()) await writeGroup(db, batchId, group);
      }
      changes.clear();
    },
  };
}

function amountsOf({ state, sizeBytes, reading }: Document): [keyof BatchSums, number][] {
  const isDone = state === "staged" || state === "ready" || state === "unreadable" || state === "replaced";
  const isRead = state === "staged" || state === "ready";
  return [
    [state, 1],
    ["sizeBytes", state === "forgetting" ? 0 : sizeBytes],
    ["doneBytes", isDone ? sizeBytes : 0],
    ["passages", isRead ? (reading?.passages ?? 0) : 0],
  ];
}

/** What a document is filed under: the owner's word, then what reading it found out. */
export function filedUnder(document: Document): Required<Pick<DocumentLabels, "entityType" | "language" | "domain">> {
  const { labels, reading, domain } = document;
  const isHolder = reading?.entries !== undefined;
  return {
    entityType: labels?.entityType ?? reading?.entityType ?? (isHolder ? reading.format : "document"),
    language: labels?.language ?? reading?.language ?? "und",
    domain: labels?.domain ?? domain ?? domainDefault,
  };
}

function groupsOf(document: Document): { by: Grouping; value: string }[] {
  if (document.state === "unreadable") return document.problem ? [{ by: "problem", value: document.problem.problem }] : [];
  if (document.state !== "staged" && document.state !== "ready") return [];
  const { entityType, language, domain } = filedUnder(document);
  return [
    { by: "type", value: entityType },
    { by: "language", value: language },
    { by: "theme", value: domain },
    { by: "folder", value: toFolder(document.name) },
    { by: "format", value: document.reading?.format ?? "text" },
  ];
}

async function writeSums(
  db: DatabaseWriter,
  batchId: BatchId,
  changes: ReadonlyMap<keyof BatchSums, number>,
  now: number,
): Promise<void> {
  const moved = [...changes].filter(([, by]) => by !== 0);
  if (moved.length === 0) return;
  const row = await findSums(db, batchId);
  const before = row?.sums ?? noSums;
  const sums = { ...before };
  for (const [key, by] of moved) sums[key] += by;
  const isOpen = sums.waiting + sums.reading > 0;
  const sample = { at: now, documents: doneOf(sums), bytes: sums.doneBytes };
  const isMoving = doneOf(sums) !== doneOf(before) || (row?.samples.length ?? 0) === 0;
  const samples = isMoving ? sampled(row?.samples ?? [], sample) : (row?.samples ?? []);
  const ended = isOpen ? {} : { endedAt: row?.endedAt ?? now };
  if (row) await db.replace(row._id, { batchId, sums, samples, ...ended });
  else await db.insert("batchSums", { batchId, sums, samples, ...ended });
}

async function writeGroup(db: DatabaseWriter, batchId: BatchId, change: Group): Promise<void> {
  const { by, value, documents, sizeBytes, staged } = change;
  if (documents === 0 && sizeBytes === 0 && staged === 0) return;
  const row = await db
    .query("groups")
    .withIndex("by_value", (q) => q.eq("batchId", batchId).eq("by", by).eq("value", value))
    .unique();
  const group = {
    batchId,
    by,
    value,
    documents: (row?.documents ?? 0) + documents,
    sizeBytes: (row?.sizeBytes ?? 0) + sizeBytes,
    staged: (row?.staged ?? 0) + staged,
  };
  if (!row) await db.insert("groups", group);
  else if (group.documents <= 0) await db.delete(row._id);
  else await db.replace(row._id, group);
}

export const findSums = (db: DatabaseReader, batchId: BatchId): Promise<Doc<"batchSums"> | null> =>
  db
    .query("batchSums")
    .withIndex("by_batchId", (q) => q.eq("batchId", batchId))
    .unique();
