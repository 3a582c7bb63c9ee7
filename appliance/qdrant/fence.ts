/** Who may write at once: many writers, or one copier and nobody else. Held for milliseconds. */

export type Fence = {
  /** A write. It waits for a copier that holds the fence, or waits for it. */
  shared<T>(work: () => Promise<T>): Promise<T>;
  /** Once all writes that are under way are over. */
  alone<T>(work: () => Promise<T>): Promise<T>;
};

export function openFence(): Fence {
  let writers = 0;
  let turn: Promise<void> = Promise.resolve();
  let drained: (() => void) | undefined;
  return {
    async shared(work) {
      await turn;
      writers += 1;
      try {
        return await work();
      } finally {
        writers -= 1;
        if (writers === 0) drained?.();
      }
    },
    async alone(work) {
      const before = turn;
      const { promise, resolve } = Promise.withResolvers<void>();
      turn = before.then(() => promise);
      await before;
      try {
        if (writers > 0) await new Promise<void>((ready) => (drained = ready));
        drained = undefined;
        return await work();
      } finally {
        resolve();
      }
    },
  };
}
