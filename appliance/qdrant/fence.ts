/** Who may write what at once: many writers, or one copier of the same documents. Held for milliseconds. */

/** What somebody holds; undefined: whatever there is. */
type Held = ReadonlySet<string> | undefined;

export type Fence = {
  /** A write. It waits for a copier of the same documents that came before it. */
  shared<T>(held: Held, work: () => Promise<T>): Promise<T>;
  /** Once all that came before and write or copy the same are over. */
  alone<T>(held: Held, work: () => Promise<T>): Promise<T>;
};

type Holder = { readonly held: Held; readonly isAlone: boolean; readonly over: Promise<void> };

export function openFence(): Fence {
  const holders = new Set<Holder>();
  /** Everybody waits for those who came before only, so nobody waits for ever. */
  const enter = async <T>(held: Held, isAlone: boolean, work: () => Promise<T>): Promise<T> => {
    const before = [...holders].filter((one) => (isAlone || one.isAlone) && isShared(one.held, held));
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const holder: Holder = { held, isAlone, over };
    holders.add(holder);
    try {
      await Promise.all(before.map((one) => one.over));
      return await work();
    } finally {
      holders.delete(holder);
      resolve();
    }
  };
  return {
    shared: (held, work) => enter(held, false, work),
    alone: (held, work) => enter(held, true, work),
  };
}

const isShared = (one: Held, other: Held): boolean => one === undefined || other === undefined || !one.isDisjointFrom(other);
