/** Points in the order of a number or a time in their payload, which needs an index. */
import { isAbsent, isObject, refuseOthers, toText } from "../body.ts";
import type { Collection } from "../collection.ts";
import { toMicros } from "../filter/datetime.ts";
import { parsePath, type Path } from "../filter/payloadPath.ts";
import type { Hit } from "../index/ranking.ts";
import { badFormat, wrongInput } from "../refusal.ts";

export type OrderBy = {
  readonly path: Path;
  readonly isDescending: boolean;
  /** The first value of the page, itself included. Times are microseconds since the epoch. */
  readonly start: number | undefined;
};

export function parseOrderBy(value: unknown): OrderBy {
  if (typeof value === "string") return { path: parsePath(value), isDescending: false, start: undefined };
  if (!isObject(value)) throw badFormat("order_by: expected a payload key, or an object with key, direction and start_from");
  refuseOthers(value, ["key", "direction", "start_from"], "order_by");
  const direction = isAbsent(value["direction"]) ? "asc" : toText(value["direction"], "order_by.direction");
  if (direction !== "asc" && direction !== "desc")
    throw badFormat(`order_by.direction: unknown variant ${direction}, expected asc or desc`);
  return { path: parsePath(value["key"]), isDescending: direction === "desc", start: toStart(value["start_from"]) };
}

function toStart(value: unknown): number | undefined {
  if (isAbsent(value)) return undefined;
  const start = typeof value === "string" ? toMicros(value) : value;
  if (typeof start !== "number") throw badFormat("order_by.start_from: expected a number or an RFC 3339 time");
  return start;
}

/** A point with several values stands at each of them. Equal values are in the order of their ids. */
export function inOrder(
  collection: Collection,
  { path, isDescending, start }: OrderBy,
  slots: Uint32Array,
  limit: number,
): Hit[] {
  const numbers = collection.index(path.text)?.numbers;
  if (!numbers) {
    throw wrongInput(
      `No range index for \`order_by\` key: \`${path.text}\`. Please create one to use \`order_by\`. Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support Range conditions`,
    );
  }
  const sign = isDescending ? -1 : 1;
  const found: { slot: number; order: number }[] = [];
  for (const slot of slots) {
    for (const order of new Set(numbers(slot)))
      if (start === undefined || (order - start) * sign >= 0) found.push({ slot, order });
  }
  found.sort((a, b) => sign * (a.order - b.order || collection.ids.compare(a.slot, b.slot)));
  return found.slice(0, limit).map(({ slot, order }) => ({ slot, score: scoreOfOrdered, order }));
}

/** What Qdrant gives to points that were listed and not scored. */
export const scoreOfOrdered = 1;
