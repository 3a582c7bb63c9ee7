/**
 * 100,000 x 384 in the process, beside LanceDB, zvec and sqlite-vec in one run: every question goes to each in turn, so that whatever else
 * the machine does hits all alike. Without the peers' packages it says so and measures nothing.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clustered, random } from "../../../tests/appliance/vectors/random.ts";
import { best, k, openDense, shared } from "./parts/dense.ts";
import { atLeast, atMost, median, report, timed } from "./parts/figure.ts";
import { lance, peersRequire, sqliteVec, zvec, type Data, type Peer } from "./parts/peers.ts";

const [count, dimensions, questions, groups] = [100_000, 384, 100, 100];
// LanceDB warns at every question.
process.env["LANCE_LOG"] = "error";
const require = peersRequire();
if (require) await compare(require);
else console.log("The peers cannot be installed here, so nothing was measured.");

async function compare(from: NodeJS.Require): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
  const place = (name: string): string => {
    mkdirSync(join(dir, name));
    return join(dir, name);
  };
  const seed = random(21);
  const draw = clustered(seed, dimensions, 256);
  const floats = new Float32Array(count * dimensions);
  const data: Data = { floats, dimensions, groups: Uint8Array.from({ length: count }, () => seed.below(groups)) };
  for (let i = 0; i < count; i++) floats.set(draw(), i * dimensions);
  const queries = Array.from({ length: questions }, draw);
  const members = Array.from({ length: groups }, (_, group) =>
    Uint32Array.from(data.groups.keys().filter((i) => data.groups[i] === group)),
  );

  const ours = openDense(place("ours"), floats, dimensions);
  const peers: Peer[] = [
    await lance(from, place("lance"), data),
    zvec(from, join(dir, "zvec"), data),
    sqliteVec(from, place("sqlite"), data),
  ];
  const truth = queries.map((query) => best(floats, dimensions, query));
  // On a busy machine the clock tells of the others; processor time of this process does not.
  const cpuMs = async (work: () => unknown): Promise<number> => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  const rows = [{ name: "ours", close: ours.close }, ...peers].map(({ name }) => ({
    name,
    all: [] as number[],
    few: [] as number[],
    cpu: 0,
    fewCpu: 0,
    hits: 0,
  }));
  for (const [i, query] of queries.entries()) {
    const group = i % groups;
    for (const [at, row] of rows.entries()) {
      const peer = peers[at - 1];
      let found: number[] = [];
      const all = async () => (found = peer ? await peer.find(query, k) : ours.find(query));
      const few = () => (peer ? peer.find(query, k, group) : ours.find(query, members[group]));
      row.cpu += await cpuMs(async () => row.all.push(...(await timed(1, all))));
      row.fewCpu += await cpuMs(async () => row.few.push(...(await timed(1, few))));
      row.hits += shared(truth[i]!, found);
    }
  }
  const size = `${count} x ${dimensions}`;
  const [mine, lanceRow, zvecRow, vecRow] = rows as [Row, Row, Row, Row];
  for (const { name, hits } of rows)
    report(
      { name: `recall@${k}, ${size}, ${name}`, value: hits / (questions * k), unit: "" },
      name === "ours" ? atLeast(0.999) : undefined,
    );
  const against = (what: "all" | "few", row: Row, limit: number): void =>
    report(
      {
        name: `${what === "all" ? "no filter" : "1 % filter"}, ${size}, p50 (peer: ${row.name})`,
        value: median(mine[what]),
        unit: "ms",
        peer: median(row[what]),
      },
      atMost(limit),
    );
  const cpuAgainst = (what: "cpu" | "fewCpu", row: Row, limit: number): void =>
    report(
      {
        name: `${what === "cpu" ? "no filter" : "1 % filter"}, ${size}, processor time a question (peer: ${row.name})`,
        value: mine[what] / questions,
        unit: "ms",
        peer: row[what] / questions,
      },
      atMost(limit),
    );
  cpuAgainst("cpu", lanceRow, 0.8);
  cpuAgainst("cpu", vecRow, 1 / 25);
  cpuAgainst("fewCpu", zvecRow, 0.7);
  against("all", lanceRow, 0.8);
  against("all", vecRow, 1 / 25);
  against("few", zvecRow, 0.7);
  for (const { close } of [ours, ...peers]) close();
  rmSync(dir, { recursive: true, force: true });
  process.exit();
}

type Row = {
  readonly name: string;
  readonly all: number[];
  readonly few: number[];
  readonly cpu: number;
  readonly fewCpu: number;
  readonly hits: number;
};
