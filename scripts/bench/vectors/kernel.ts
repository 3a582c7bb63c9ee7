/** The int8 scan in the process, without HTTP: how fast beside a plain JavaScript scan of the floats, and how much it finds. */
import { DenseIndex } from "../../../appliance/vectors/index/dense.ts";
import { clustered, isotropic, random } from "../../../tests/appliance/vectors/random.ts";
import { atLeast, atMost, median, report, timed } from "./parts/figure.ts";

const [dimensions, k, questions] = [384, 10, 50];
// What field.ts asks of the scan for ten results.
const rescored = k + 32;

for (const [name, count] of [
  ["clustered", 100_000],
  ["isotropic", 20_000],
] as const) {
  const from = random(11);
  const draw = name === "clustered" ? clustered(from, dimensions, 256) : () => isotropic(from, dimensions);
  const floats = new Float32Array(count * dimensions);
  const index = new DenseIndex(dimensions);
  for (let i = 0; i < count; i++) {
    const vector = draw();
    floats.set(vector, i * dimensions);
    index.set(i, vector);
  }
  const queries = Array.from({ length: questions }, draw);
  const found: Uint32Array[] = [];
  const scan = await timed(questions, (i) => found.push(index.candidates(queries[i]!, rescored)));
  const truth: number[][] = [];
  const plain = await timed(questions, (i) => truth.push(best(floats, queries[i]!)));

  const hits = truth.reduce((sum, ids, i) => sum + ids.filter((id) => found[i]!.includes(id)).length, 0);
  const size = `${count} x ${dimensions}, ${name}`;
  report({ name: `recall@${k} of the scan, ${size}`, value: hits / (questions * k), unit: "" }, atLeast(0.999));
  report(
    { name: `scan, ${size} (peer: floats in plain JavaScript)`, value: median(scan), unit: "ms", peer: median(plain) },
    atMost(0.2),
  );
  const one = Uint32Array.from({ length: count / 100 }, (_, i) => i * 100);
  const few = await timed(questions, (i) => index.candidates(queries[i]!, rescored, one));
  report({ name: `scan of 1 %, ${size} (peer: the whole)`, value: median(few), unit: "ms", peer: median(scan) }, atMost(0.2));
}

function best(floats: Float32Array, query: Float32Array): number[] {
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
