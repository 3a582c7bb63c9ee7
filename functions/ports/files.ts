/** A file's bytes, piece by piece: a large one never lies in memory whole on its way to who reads it. */
export type FileBytes = {
  readonly sizeBytes: number;
  /** From the first byte, each time. Fails as `Files.open` says, while they come. */
  pieces(signal: AbortSignal): AsyncIterable<Uint8Array>;
};

/** Bytes at hand, or on their way. */
export type Bytes = Uint8Array | FileBytes;

/** Bytes the owner handed in, kept by the control plane's file storage. */
export type Files = {
  /**
   * The whole file behind a URL the control plane gave out (`internal.documents.fileForIngest`). Fails with `missing` when it is gone,
   * `full` when it is larger than `bytesMax`, `unavailable` when the storage does not answer, `cancelled` when `signal` fires.
   */
  read(url: string, options: { readonly bytesMax: number; readonly signal: AbortSignal }): Promise<Uint8Array>;
  /**
   * The same file, to be read piece by piece and as often as needed; nothing is fetched before. `sizeBytes` is what the control plane says.
   * Its pieces fail with `missing`, `full` when there are more bytes than that, `unavailable`, `cancelled`.
   */
  open(url: string, options: { readonly sizeBytes: number }): FileBytes;
  /**
   * Stores bytes behind an upload URL of the control plane (`internal.sources.uploadUrl`) and returns their id there. What nothing
   * refers to a day later is thrown away. Fails with `full` when the disk is, `unavailable`, `cancelled`.
   */
  write(url: string, bytes: Bytes, options: { readonly signal: AbortSignal }): Promise<string>;
};
