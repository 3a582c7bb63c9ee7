/**
 * One batch after the other: a question is drawn to its passage and away from the other passages of the batch and from its hard negatives
 * (InfoNCE), in the whole vector and in its first parts, so that a shortened vector still ranks. Plain typed arrays and one thread: the
 * same seed gives the same bytes.
 */
import { randomOf } from "../dataset/random.ts";
import { addBag, type Bag } from "./bag.ts";
import { composeRow, type Features } from "./rows.ts";

/** A question, the passage that answered it, and passages that look as if they did. */
export type Example = {
  readonly query: Bag;
  readonly passage: Bag;
  readonly negatives: readonly Bag[];
  /** Passages of one group do not count against each other. */
  readonly group: number;
  /** How sure it is that the passage answers, 0 to 1. */
  readonly weight: number;
};

export type Recipe = {
  readonly seed: number;
  readonly batch: number;
  /** How sharply passages are told apart: lower is sharper. */
  readonly temperature: number;
  /** Of a row's length, how far it moves at first. */
  readonly rate: number;
  /** How many of an example's negatives are used. */
  readonly negatives: number;
  /** Lengths at which a vector may be cut off, and how much ranking well at each counts. */
  readonly prefixes: readonly { readonly size: number; readonly weight: number }[];
};

export const recipeDefault: Recipe = {
  seed: 1,
  batch: 64,
  temperature: 0.1,
  rate: 0.05,
  negatives: 0,
  prefixes: [
    { size: 384, weight: 1 },
    { size: 192, weight: 0.3 },
    { size: 96, weight: 0.2 },
  ],
};

/** What has to be kept to go on later as if nothing had happened. */
export type TrainerState = {
  /** Batches done, over all epochs. */
  readonly step: number;
  readonly values: Float32Array;
  /** A feature's mean squared gradient so far. */
  readonly squares: Float32Array;
};

export type Trainer = {
  readonly stepsPerEpoch: number;
  readonly step: number;
  readonly values: Float32Array;
  /** One batch; its mean loss. */
  advance(): number;
  state(): TrainerState;
};

export function openTrainer(
  examples: readonly Example[],
  features: Features,
  { recipe, from }: { recipe: Recipe; from?: TrainerState },
): Trainer {
  const { dimensions } = features;
  const values = Float32Array.from(from?.values ?? features.values);
  const squares = Float32Array.from(from?.squares ?? new Float32Array(features.pace.length));
  const gradients = new Float32Array(values.length);
  const isTouched = new Uint8Array(features.pace.length);
  const stepsPerEpoch = Math.max(1, Math.floor(examples.length / recipe.batch));
  // A row of the batch's own table for each of its pieces.
  const rowOf = new Int32Array(features.starts.length - 1).fill(-1);
  let step = from?.step ?? 0;
  let order: Uint32Array | undefined;
  let orderedFor = -1;

  const next = (): Example[] => {
    const epoch = Math.floor(step / stepsPerEpoch);
    if (orderedFor !== epoch) order = shuffled(examples.length, recipe.seed * 1_000_003 + epoch);
    orderedFor = epoch;
    const at = (step % stepsPerEpoch) * recipe.batch;
    return Array.from(order!.subarray(at, at + recipe.batch), (example) => examples[example]!);
  };

  const apply = (touched: readonly number[]): void => {
    for (const feature of touched) {
      const at = feature * dimensions;
      let square = 0;
      let length = 0;
      for (let d = 0; d < dimensions; d += 1) {
        square += gradients[at + d]! * gradients[at + d]!;
        length += values[at + d]! * values[at + d]!;
      }
      squares[feature]! += square / dimensions;
      const pace = recipe.rate * features.pace[feature]! * Math.sqrt(length / dimensions);
      const scale = pace / Math.sqrt(squares[feature]! + 1e-16);
      for (let d = 0; d < dimensions; d += 1) values[at + d]! -= scale * gradients[at + d]!;
      gradients.fill(0, at, at + dimensions);
      isTouched[feature] = 0;
    }
  };

  return {
    stepsPerEpoch,
    get step() {
      return step;
    },
    values,
    advance: () => {
      const batch = next();
      const bags = [
        ...batch.map(({ query }) => query),
        ...batch.map(({ passage }) => passage),
        ...batch.flatMap(({ negatives }) => negatives.slice(0, recipe.negatives)),
      ];
      const ids: number[] = [];
      for (const bag of bags) {
        for (const id of bag.ids) {
          if (rowOf[id] !== -1) continue;
          rowOf[id] = ids.length;
          ids.push(id);
        }
      }
      const table = new Float32Array(ids.length * dimensions);
      for (const [row, id] of ids.entries()) composeRow(features, id, { values, out: table, at: row * dimensions });
      const sums = new Float32Array(bags.length * dimensions);
      for (const [at, bag] of bags.entries()) addBag(bag, table, { dimensions, out: sums, at: at * dimensions, rowOf });

      const slopes = new Float32Array(sums.length);
      let loss = 0;
      for (const { size, weight } of recipe.prefixes)
        if (size <= dimensions) loss += weight * contrast(batch, { sums, slopes, dimensions, size, weight, recipe });

      // From texts to pieces, from pieces to features.
      const rowSlopes = new Float32Array(table.length);
      for (const [at, bag] of bags.entries()) {
        for (let i = 0; i < bag.ids.length; i += 1) {
          const to = rowOf[bag.ids[i]!]! * dimensions;
          const weight = bag.weights[i]!;
          for (let d = 0; d < dimensions; d += 1) rowSlopes[to + d]! += weight * slopes[at * dimensions + d]!;
        }
      }
      const touched: number[] = [];
      for (const [row, id] of ids.entries()) {
        rowOf[id] = -1;
        for (let part = features.starts[id]!; part < features.starts[id + 1]!; part += 1) {
          const feature = features.features[part]!;
          const coefficient = features.coefficients[part]!;
          if (!isTouched[feature]) touched.push(feature);
          isTouched[feature] = 1;
          for (let d = 0; d < dimensions; d += 1)
            gradients[feature * dimensions + d]! += coefficient * rowSlopes[row * dimensions + d]!;
        }
      }
      apply(touched);
      step += 1;
      return loss;
    },
    state: () => ({ step, values: Float32Array.from(values), squares: Float32Array.from(squares) }),
  };
}

type Contrast = {
  readonly sums: Float32Array;
  readonly slopes: Float32Array;
  readonly dimensions: number;
  readonly size: number;
  readonly weight: number;
  readonly recipe: Recipe;
};

/** The loss of a batch over the first `size` numbers of its vectors, both ways; adds its slopes. */
function contrast(batch: readonly Example[], { sums, slopes, dimensions, size, weight, recipe }: Contrast): number {
  const count = batch.length;
  const texts = sums.length / dimensions;
  const passages = texts - count;
  const units = new Float32Array(texts * size);
  const lengths = new Float64Array(texts);
  for (let text = 0; text < texts; text += 1) {
    let square = 1e-12;
    for (let d = 0; d < size; d += 1) square += sums[text * dimensions + d]! ** 2;
    lengths[text] = Math.sqrt(square);
    for (let d = 0; d < size; d += 1) units[text * size + d] = sums[text * dimensions + d]! / lengths[text]!;
  }
  // Which group each passage is of: positives first, then everybody's negatives.
  const owners = [...batch.keys(), ...batch.flatMap(({ negatives }, at) => negatives.slice(0, recipe.negatives).map(() => at))];
  const isRival = (query: number, passage: number): boolean =>
    passage < count ? passage === query || batch[passage]!.group !== batch[query]!.group : owners[passage] === query;
  const unitSlopes = new Float32Array(units.length);
  const logits = new Float64Array(passages);
  let total = 0;
  let loss = 0;
  for (const { weight: sure } of batch) total += sure;
  const draw = (query: number, passage: number, slope: number): void => {
    const [q, p] = [query * size, (count + passage) * size];
    for (let d = 0; d < size; d += 1) {
      unitSlopes[q + d]! += slope * units[p + d]!;
      unitSlopes[p + d]! += slope * units[q + d]!;
    }
  };
  for (let query = 0; query < count; query += 1) {
    let most = -Infinity;
    for (let passage = 0; passage < passages; passage += 1) {
      if (!isRival(query, passage)) {
        logits[passage] = -Infinity;
        continue;
      }
      const [q, p] = [query * size, (count + passage) * size];
      let dot = 0;
      for (let d = 0; d < size; d += 1) dot += units[q + d]! * units[p + d]!;
      logits[passage] = dot / recipe.temperature;
      if (logits[passage]! > most) most = logits[passage]!;
    }
    let sum = 0;
    for (let passage = 0; passage < passages; passage += 1) sum += Math.exp(logits[passage]! - most);
    const share = batch[query]!.weight / total;
    loss += share * (Math.log(sum) + most - logits[query]!);
    for (let passage = 0; passage < passages; passage += 1) {
      const chance = Math.exp(logits[passage]! - most) / sum;
      const slope = (weight * share * (chance - (passage === query ? 1 : 0))) / recipe.temperature;
      // What is far off already moves nothing that counts.
      if (Math.abs(slope) > 1e-9) draw(query, passage, slope);
    }
  }
  // A unit vector's slope has no part along itself.
  for (let text = 0; text < texts; text += 1) {
    let along = 0;
    for (let d = 0; d < size; d += 1) along += unitSlopes[text * size + d]! * units[text * size + d]!;
    for (let d = 0; d < size; d += 1)
      slopes[text * dimensions + d]! += (unitSlopes[text * size + d]! - along * units[text * size + d]!) / lengths[text]!;
  }
  return loss;
}

/** 0 to `count` - 1 in an order that the seed decides. */
function shuffled(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  const below = randomOf(seed);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = below(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
