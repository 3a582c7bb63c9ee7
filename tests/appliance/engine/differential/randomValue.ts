/** Values of every type, repeatable from a seed, and few enough of each that they meet. */
import { convexToJson, type Value } from "convex/values";
import type { Random } from "../../vectors/random.ts";

const floats = [0, -0, 1, -1, 1.5, 5e-324, -5e-324, 1e308, -1e308, Infinity, -Infinity, 2 ** 53, 0.1];
const integers = [0n, 1n, -1n, 255n, 256n, -256n, 2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n];
const strings = ["", "a", "ab", "b", "A", "é", "\uffee", "😀", "a\u0000", "a\u0001", "a\u0000b", "zz"];
const bytes = [[], [0], [0, 0], [1], [0, 1], [255], [255, 0]];
const names = ["a", "b", "c"];

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)] as T;
}

/** `depth` is how far arrays and objects may nest. */
export function randomValue(random: Random, depth = 2): Value {
  switch (random.below(depth > 0 ? 9 : 7)) {
    case 0:
      return null;
    case 1:
      return random.below(2) === 0;
    case 2:
      return pick(random, floats);
    case 3:
      return pick(random, integers);
    case 4:
      return pick(random, strings);
    case 5:
      return Uint8Array.from(pick(random, bytes)).buffer;
    case 6:
      return random.below(5);
    case 7:
      return Array.from({ length: random.below(3) }, () => randomValue(random, depth - 1));
    default:
      return Object.fromEntries(names.filter(() => random.below(2) === 0).map((name) => [name, randomValue(random, depth - 1)]));
  }
}

/** For comparing: equal text, equal value. */
export function asText(value: Value): string {
  return JSON.stringify(convexToJson(value));
}
