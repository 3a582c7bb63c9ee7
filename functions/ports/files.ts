/** Bytes the owner handed in, kept by the control plane's file storage. */
export type Files = {
  /**
   * The whole file behind a URL the control plane gave out (`internal.documents.fileForIngest`). Fails with `missing` when it is gone,
   * `full` when it is larger than `bytesMax`, `unavailable` when the storage does not answer, `cancelled` when `signal` fires.
   */
  read(url: string, options: { readonly bytesMax: number; readonly signal: AbortSignal }): Promise<Uint8Array>;
  /**
   * Stores bytes behind an upload URL of the control plane (`internal.sources.uploadUrl`) and returns their id there. What nothing
   * refers to a day later is thrown away. Fails with `full` when the disk is, `unavailable`, `cancelled`.
   */
  write(url: string, bytes: Uint8Array, options: { readonly signal: AbortSignal }): Promise<string>;
};
