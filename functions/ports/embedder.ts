/** Text to unit vectors. Its `id` is kept with what it made; vectors of two embedders cannot be compared. */
export type Embedder = {
  /** Changes whenever the same text would give another vector. */
  readonly id: string;
  /** One line for people: what it is and what it is not. */
  readonly label: string;
  /** True for the built-in stand-in that matches wording rather than meaning; shown with every answer. */
  readonly isBaseline: boolean;
  readonly dimensions: number;
  /** One vector of `dimensions` floats, L2 norm 1, per text, in order. Fails with `cancelled` or `unavailable`. */
  passages(texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]>;
  query(text: string, signal: AbortSignal): Promise<Float32Array>;
};

/** The embedders that the vault's spaces are made by, each opened when it is first asked for. */
export type Embedders = {
  /** Undefined when its files are not on this machine, or are others than they were. */
  of(embedderId: string): Promise<Embedder | undefined>;
};
