/** A text as its model sees it: which pieces, and how much each counts. Order is lost; that is what makes such a model fast. */
import { padId, toPieces, unknownId, type Vocabulary } from "./vocabulary.ts";

export type Bag = { readonly ids: Uint32Array; readonly weights: Float32Array };

/** How fast more of the same piece stops counting: 1, 1.5, 1.8, 2, … of at most 3. As the baseline has it. */
export const saturation = 2;

export function toBag(text: string, vocabulary: Vocabulary): Bag {
  const counts = new Map<number, number>();
  for (const id of toPieces(text, vocabulary)) if (id !== unknownId && id !== padId) counts.set(id, (counts.get(id) ?? 0) + 1);
  return {
    ids: Uint32Array.from(counts.keys()),
    weights: Float32Array.from(counts.values(), (count) => (count * (saturation + 1)) / (count + saturation)),
  };
}

/** Adds the bag's rows of `table` to `out`, from `at` on. `rowOf`: where a piece's row is, if not at its id. */
export function addBag(bag: Bag, table: Float32Array, { dimensions, out, at, rowOf }: Adding): void {
  for (let i = 0; i < bag.ids.length; i += 1) {
    const id = bag.ids[i]!;
    const from = (rowOf ? rowOf[id]! : id) * dimensions;
    const weight = bag.weights[i]!;
    for (let d = 0; d < dimensions; d += 1) out[at + d]! += weight * table[from + d]!;
  }
}

type Adding = {
  readonly dimensions: number;
  readonly out: Float32Array;
  readonly at: number;
  readonly rowOf?: Int32Array;
};
