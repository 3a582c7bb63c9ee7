/** One figure as one line of JSON, and the arithmetic behind it. */
type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the peer did in the same run; null when it is not on this machine, which the name then says. */
  readonly peer?: number | null;
  /** What the goal is about: the ratio when there is a peer, else the value. */
  readonly goal?: Goal;
};
type Goal = { readonly text: string; readonly isMet: (x: number) => boolean };

const rounded = (value: number): number => Number(value.toPrecision(4));

export function report({ name, value, unit, peer = null, goal }: Figure): void {
  const ratio = peer === null ? null : value / peer;
  console.log(
    JSON.stringify({
      name,
      value: rounded(value),
      unit,
      peer: peer === null ? null : rounded(peer),
      ratio: ratio === null ? null : rounded(ratio),
      goal: goal?.text ?? null,
      met: goal ? goal.isMet(ratio ?? value) : null,
    }),
  );
}

/** A figure that has no meaning without its peer has no verdict either. */
export function reportBeside(peerName: string, figure: Figure & { readonly peer: number | null }): void {
  if (figure.peer !== null) return report(figure);
  const { name, value, unit } = figure;
  report({ name: `${name} (${peerName} is not here)`, value, unit });
}

export const atMost = (limit: number): Goal => ({ text: `<= ${rounded(limit)}`, isMet: (x) => x <= limit });
export const atLeast = (limit: number): Goal => ({ text: `>= ${limit}`, isMet: (x) => x >= limit });

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/**
 * Rounds of each kind of work in turn, so that a busy moment of the machine hits all alike; every other round backwards, so that none is
 * always the one that runs while its neighbour still tidies up.
 */
export async function alternating<T>(rounds: number, works: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const results: T[][] = works.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const order = [...works.entries()];
    for (const [i, work] of round % 2 === 0 ? order : order.toReversed()) results[i]!.push(await work());
  }
  return results;
}

export type Load = { readonly perSecond: number; readonly timesMs: readonly number[] };

/** Keeps `lanes` calls in flight for a while. */
export async function load(lanes: number, ms: number, call: (lane: number) => Promise<unknown>): Promise<Load> {
  const timesMs: number[] = [];
  const startedAt = performance.now();
  const one = async (lane: number): Promise<void> => {
    for (let at = performance.now(); at - startedAt < ms;) {
      await call(lane);
      const now = performance.now();
      timesMs.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => one(lane)));
  return { perSecond: timesMs.length / ((performance.now() - startedAt) / 1000), timesMs };
}

/** `--name value` on the command line, or the default; with `--full` the size that the goal speaks of, where that takes minutes. */
export function sizeOf(name: string, byDefault: number, full = byDefault): number {
  const at = process.argv.indexOf(`--${name}`);
  if (at >= 0) return Number(process.argv[at + 1]);
  return process.argv.includes("--full") ? full : byDefault;
}
