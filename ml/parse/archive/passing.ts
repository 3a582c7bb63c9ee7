/** A file met on the way through a holder that has no directory. What is not read is passed over. */
export type Passing = { readonly name: string; readonly sizeBytes: number; readonly read: () => Promise<Uint8Array> };
