/** How much the scan finds, on data with structure and without, small and large vectors; and what a million costs without a graph. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DenseIndex } from "../../../appliance/vectors/index/dense.ts";
import { clustered, isotropic, random } from "../../../tests/appliance/vectors/random.ts";
import { best, k, openDense, shared } from "./parts/dense.ts";
import { atLeast, median, report, timed } from "./parts/figure.ts";

const questions = 50;

for (const [kind, count, dimensions] of [
  ["clustered", 100_000, 384],
  ["isotropic", 100_000, 384],
  ["clustered", 20_000, 1408],
  ["isotropic", 20_000, 1408],
] as const) {
  const from = random(31);
  const draw = kind === "clustered" ? clustered(from, dimensions, 256) : () => isotropic(from, dimensions);
  const floats = new Float32Array(count * dimensions);
  for (let i = 0; i < count; i++) floats.set(draw(), i * dimensions);
  const queries = Array.from({ length: questions }, draw);
  const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
  const ours = openDense(dir, floats, dimensions);
  const found: number[][] = [];
  const times = await timed(questions, (i) => found.push(ours.find(queries[i]!)));
  const hits = queries.reduce((sum, query, i) => sum + shared(best(floats, dimensions, query), found[i]!), 0);
  const size = `${count} x ${dimensions}, ${kind}`;
  report({ name: `recall@${k}, ${size}`, value: hits / (questions * k), unit: "" }, atLeast(0.999));
  report({ name: `no filter, ${size}, p50`, value: median(times), unit: "ms" });
  ours.close();
  rmSync(dir, { recursive: true, force: true });
}

// Only the int8 rows: what answers a question. The floats are read for forty candidates, however many points there are.
const [million, dimensions] = [1_000_000, 384];
const from = random(32);
const draw = clustered(from, dimensions, 256);
const before = process.memoryUsage().rss;
const index = new DenseIndex(dimensions);
for (let i = 0; i < million; i++) index.set(i, draw());
const queries = Array.from({ length: 20 }, draw);
const all = await timed(queries.length, (i) => index.candidates(queries[i]!, k + 32));
const few = Uint32Array.from({ length: million / 100 }, (_, i) => i * 100);
const some = await timed(queries.length, (i) => index.candidates(queries[i]!, k + 32, few));
report({ name: `no filter, ${million} x ${dimensions}, p50 of the scan`, value: median(all), unit: "ms" });
report({ name: `1 % filter, ${million} x ${dimensions}, p50 of the scan`, value: median(some), unit: "ms" });
report({
  name: `memory of the rows, ${million} x ${dimensions}`,
  value: (process.memoryUsage().rss - before) / 2 ** 20,
  unit: "MiB",
});
