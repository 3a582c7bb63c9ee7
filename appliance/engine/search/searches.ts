/** Keeps the text and vector indexes of a table true to its documents. */
import type { DatabaseSync } from "node:sqlite";
import { compareValues } from "../codec/key.ts";
import { fieldAt, type JsonObject } from "../codec/value.ts";
import type { Commit } from "../model/commit.ts";
import type { Table } from "../store/catalog.ts";
import { textWrites } from "./textReads.ts";
import { openTexts, toTextEntry, type TextIndex } from "./texts.ts";
import { openVectors, toVectorEntry, type VectorIndex } from "./vectors.ts";

export type Searches = ReturnType<typeof openSearches>;
type Change = { readonly id: Uint8Array; readonly old: JsonObject | undefined; readonly now: JsonObject | undefined };

export function openSearches(db: DatabaseSync) {
  const texts = openTexts(db);
  const vectors = openVectors(db);

  const changeText = (index: TextIndex, { id, old, now }: Change): Commit["writes"] => {
    const before = old && toTextEntry(index, old);
    const after = now && toTextEntry(index, now);
    if (before) texts.remove(index.id, id, before);
    if (after) texts.add(index.id, { id, createdMs: now?.["_creationTime"] as number }, after);
    return [before, after].flatMap((entry) => (entry ? textWrites(index, entry).map((key) => ({ index: index.name, key })) : []));
  };

  const changeVector = (index: VectorIndex, { id, old, now }: Change): void => {
    const after = now && toVectorEntry(index, now);
    if (old) vectors.remove(index.id, id);
    if (after) vectors.add(index.id, id, after);
  };

  return {
    texts,
    vectors,
    /** Returns the keys that the change touched in the text indexes. Vectors are read by actions only, which nothing runs again. */
    change(table: Table, change: Change): Commit["writes"] {
      const isSame = (fields: readonly string[]): boolean => {
        const { old, now } = change;
        return !!old && !!now && fields.every((field) => compareValues(fieldAt(old, field), fieldAt(now, field)) === 0);
      };
      for (const index of table.vectors) if (!isSame([index.vectorField, ...index.filterFields])) changeVector(index, change);
      return table.texts.flatMap((index) =>
        isSame([index.searchField, ...index.filterFields]) ? [] : changeText(index, change),
      );
    },
    drop(indexId: number): void {
      texts.drop(indexId);
      vectors.drop(indexId);
    },
  };
}
