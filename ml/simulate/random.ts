/** Chance that comes out the same for the same seed (on one version of Node, to the last bit). */
export type Random = {
  /** From 0 up to, not including, 1. */
  next(): number;
  between(from: number, to: number): number;
  /** Whole, from 0 up to, not including, `count`. */
  below(count: number): number;
  normal(): number;
  exponential(mean: number): number;
  /** Another one, whose numbers do not depend on how many of this were drawn. */
  fork(name: string): Random;
};

export function openRandom(seed: number): Random {
  let state = seed >>> 0;
  // Weyl sequence through a finaliser of two multiplications (splitmix, 32 bits).
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (from, to) => from + (to - from) * next(),
    below: (count) => Math.floor(next() * count),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    exponential: (mean) => -mean * Math.log(1 - next()),
    fork(name) {
      let hash = seed ^ 0x811c9dc5;
      for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
      return openRandom(hash);
    },
  };
}
