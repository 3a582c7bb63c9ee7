/** Bytes the owner handed in, kept by the control plane's file storage. */
export type Files = {
  /**
   * The whole file. Fails with `missing` when it is gone, `full` when it is larger than `bytesMax`, `unavailable` when the storage
   * does not answer.
   */
  read(fileId: string, options: { bytesMax: number; signal: AbortSignal }): Promise<Uint8Array>;
};
