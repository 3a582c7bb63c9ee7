/** A duration for people: `2.5 ms`, `340 ms`, `12 s`. */
export function tookIn(ms: number, number: (value: number) => string): string {
  if (ms < 10) return `${number(Math.round(ms * 10) / 10)} ms`;
  if (ms < 10_000) return `${number(Math.round(ms))} ms`;
  return `${number(Math.round(ms / 1_000))} s`;
}
