/** A dense vector of the store on its own, filled; and the truth to judge answers by. */
import { parseDense } from "../../../../appliance/vectors/config.ts";
import { openDatabase } from "../../../../appliance/vectors/database.ts";
import { createFieldTable, openField } from "../../../../appliance/vectors/index/field.ts";
import { SlotIds, toIdBytes } from "../../../../appliance/vectors/pointId.ts";

export const k = 10;

export function openDense(dir: string, floats: Float32Array, dimensions: number) {
  const db = openDatabase(dir);
  db.exec(createFieldTable(1));
  const field = openField(db, { id: 1, name: "v" }, parseDense({ size: dimensions, distance: "Cosine" }, "v"));
  const ids = new SlotIds();
  const count = floats.length / dimensions;
  db.transaction(() => {
    for (let i = 0; i < count; i++) {
      field.put(i, floats.subarray(i * dimensions, (i + 1) * dimensions));
      ids.set(i, toIdBytes(i));
    }
  });
  return {
    /** What a REST query does once it is parsed: scan, take the best, score them with the floats from the file. */
    find(query: Float32Array, among?: Uint32Array): number[] {
      return field.nearest(query, { limit: k, ids, slotsMax: count, ...(among && { among }) }).map(({ slot }) => slot);
    },
    close: () => db.close(),
  };
}

/** The best by looking at each, in 64-bit sums. */
export function best(floats: Float32Array, dimensions: number, query: Float32Array): number[] {
  const top: { id: number; score: number }[] = [];
  for (let id = 0, at = 0; at < floats.length; id++, at += dimensions) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let j = 0; j < dimensions; j += 4) {
      a += floats[at + j]! * query[j]!;
      b += floats[at + j + 1]! * query[j + 1]!;
      c += floats[at + j + 2]! * query[j + 2]!;
      d += floats[at + j + 3]! * query[j + 3]!;
    }
    const score = a + b + c + d;
    if (top.length === k && score <= top[k - 1]!.score) continue;
    top.push({ id, score });
    top.sort((x, y) => y.score - x.score);
    if (top.length > k) top.pop();
  }
  return top.map(({ id }) => id);
}

export const shared = (a: readonly number[], b: readonly number[]): number => a.filter((id) => b.includes(id)).length;
