/** A service that takes documents apart in its own way. */
export type Converter = {
  readonly label: string;
  /** Whether it is asked for files that begin with these bytes. */
  takes(bytes: Uint8Array): boolean;
  /**
   * The document as the service's own JSON, which is as untrusted as the file. Undefined when it cannot read this file. Fails with
   * `cancelled`, `unavailable`, `denied`.
   */
  convert(bytes: Uint8Array, options: { name: string; signal: AbortSignal }): Promise<Uint8Array | undefined>;
};
