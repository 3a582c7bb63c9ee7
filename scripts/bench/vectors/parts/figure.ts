type Figure = { readonly name: string; readonly value: number; readonly unit: string; readonly peer?: number };
type Goal = { readonly goal: string; readonly met: boolean };

const rounded = (value: number): number => Number(value.toPrecision(4));

/** One figure as one line. With a peer, the ratio is the value's share of it. */
export function report({ name, value, unit, peer }: Figure, goal?: (ratio: number) => Goal): void {
  const ratio = peer === undefined ? undefined : value / peer;
  console.log(
    JSON.stringify({
      name,
      value: rounded(value),
      unit,
      ...(peer !== undefined && { peer: rounded(peer), ratio: rounded(ratio!) }),
      ...goal?.(ratio ?? value),
    }),
  );
}

export const atMost =
  (limit: number) =>
  (x: number): Goal => ({ goal: `<= ${limit}`, met: x <= limit });
export const atLeast =
  (limit: number) =>
  (x: number): Goal => ({ goal: `>= ${limit}`, met: x >= limit });

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Milliseconds that each run took. */
export async function timed(runs: number, run: (i: number) => unknown): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const startedAt = performance.now();
    await run(i);
    times.push(performance.now() - startedAt);
  }
  return times;
}
