/** Sums over the log: what was called how often, how long it took, what it weighed and cost, and what the owner decided. Read from the files alone. */
import type { Entry } from "./ledger.ts";
import { readLog } from "./readLog.ts";

export type CallSums = {
  readonly calls: number;
  readonly errors: number;
  /** Questions that were put before going on. */
  readonly asked: number;
  /** Answers that held something odd. */
  readonly warned: number;
  readonly argsBytes: number;
  readonly resultBytes: number;
  /** In what the owner's prices are in. */
  readonly cost: number;
  /** Half of the calls took no longer than this, and nineteen of twenty no longer than that; milliseconds, within some 10 %. */
  readonly msHalf: number;
  readonly msMost: number;
};
export type NamedSums = CallSums & { readonly name: string };
export type Decision = { readonly at: number; readonly type: string; readonly server: string; readonly by: string };
export type Stats = {
  readonly since: number;
  readonly all: CallSums;
  /** Most called first. */
  readonly tools: readonly NamedSums[];
  readonly callers: readonly NamedSums[];
  /** `YYYY-MM-DD` in UTC, in their order. */
  readonly days: readonly NamedSums[];
  /** The latest first. */
  readonly decisions: readonly Decision[];
};

const namesMax = 200;
const decisionsMax = 100;

/** Since that moment, in milliseconds since 1970. */
export async function readStats(dir: string, since: number): Promise<Stats> {
  const all = openSum();
  const tools = new Map<string, Sum>();
  const callers = new Map<string, Sum>();
  const days = new Map<string, Sum>();
  const decisions: Decision[] = [];
  for await (const entry of readLog(dir)) {
    if (entry.at < since) continue;
    if (entry.type === "call") {
      const { server, tool, by } = entry;
      for (const sum of [
        all,
        of(tools, `${String(server)}.${String(tool)}`),
        of(callers, String(by)),
        of(days, new Date(entry.at).toISOString().slice(0, 10)),
      ])
        sum.add(entry);
    } else {
      decisions.push({ at: entry.at, type: entry.type, server: textOf(entry["server"]), by: textOf(entry["by"]) });
      if (decisions.length > decisionsMax) decisions.shift();
    }
  }
  return {
    since,
    all: all.value(),
    tools: most(tools),
    callers: most(callers),
    days: [...days].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([name, sum]) => ({ name, ...sum.value() })),
    decisions: decisions.toReversed(),
  };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

type Sum = { add(entry: Entry): void; value(): CallSums };

function of(sums: Map<string, Sum>, name: string): Sum {
  const known = sums.get(name);
  if (known) return known;
  const sum = openSum();
  sums.set(name, sum);
  return sum;
}

const most = (sums: ReadonlyMap<string, Sum>): NamedSums[] =>
  [...sums]
    .map(([name, sum]) => ({ name, ...sum.value() }))
    .toSorted((left, right) => right.calls - left.calls || (left.name < right.name ? -1 : 1))
    .slice(0, namesMax);

/** Each step of the histogram is a tenth longer than the one before. */
const step = Math.log(1.1);
const bucketOf = (ms: number): number => Math.round(Math.log(Math.max(0.01, ms)) / step);

function openSum(): Sum {
  const sum = { calls: 0, errors: 0, asked: 0, warned: 0, argsBytes: 0, resultBytes: 0, cost: 0 };
  const times = new Map<number, number>();
  const below = (share: number): number => {
    let seen = 0;
    for (const [bucket, count] of [...times].toSorted(([left], [right]) => left - right)) {
      seen += count;
      if (seen >= share * sum.calls) return Number(Math.exp(bucket * step).toPrecision(3));
    }
    return 0;
  };
  return {
    add({ isError, asks, warnings, argsBytes, resultBytes, cost, ms }) {
      sum.calls += 1;
      if (isError === true) sum.errors += 1;
      if (asks === true) sum.asked += 1;
      if (Array.isArray(warnings)) sum.warned += 1;
      sum.argsBytes += Number(argsBytes ?? 0);
      sum.resultBytes += Number(resultBytes ?? 0);
      sum.cost += Number(cost ?? 0);
      const bucket = bucketOf(Number(ms ?? 0));
      times.set(bucket, (times.get(bucket) ?? 0) + 1);
    },
    value: () => ({ ...sum, cost: Number(sum.cost.toFixed(6)), msHalf: below(0.5), msMost: below(0.95) }),
  };
}
