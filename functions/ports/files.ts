/** Bytes the owner handed in, kept by the control plane's file storage. */
export type Files = {
  /**
   * The whole file behind a URL the control plane gave out (`internal.documents.fileForIngest`). Fails with `missing` when it is gone,
   * `full` when it is larger than `bytesMax`, `unavailable` when the storage does not answer, `cancelled` when `signal` fires.
   */
  read(url: string, options: { readonly bytesMax: number; readonly signal: AbortSignal }): Promise<Uint8Array>;
};
