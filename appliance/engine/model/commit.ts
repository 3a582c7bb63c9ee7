/** What was read and what was written, as keys of indexes: a write to a key in a read range makes what was read untrue. */

/** Half-open range of keys in one index, compared as bytes. A point is [key, key + 0x00). Pseudo-indexes carry config reads. */
export type ReadRange = { readonly index: string; readonly lower: Uint8Array; readonly upper: Uint8Array };

/** What one durable commit changed: the old and new key of every index entry touched. Published in ts order. */
export type Commit = {
  readonly ts: bigint;
  readonly writes: readonly { readonly index: string; readonly key: Uint8Array }[];
  /** What was written up to `ts` is not known, because the thread that saved it died: anything may have changed. */
  readonly isGap?: true;
};
