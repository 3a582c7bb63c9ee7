/** Credentials at rest. Their values leave this port only into the hands of whoever speaks to the service they are for. */
export type Secrets = {
  /** The value, or undefined when there is none of that name. Who asked, and what for, is written down: `reader` says it. */
  find(name: string, reader: string): Promise<string | undefined>;
  /** Keeps a value under a name, in place of the one there was. On disk, encrypted and read back once this resolves. */
  set(name: string, value: string, by: string): Promise<void>;
  /** Forgets it; one that is not there is no error. */
  remove(name: string, by: string): Promise<void>;
  /**
   * Replaces a value by what `renew` makes of it, one renewal of a name at a time: whoever asks meanwhile gets what that one brings. A failed
   * renewal leaves the old value. Fails with `missing` when there is nothing to renew.
   */
  renew(name: string, renew: (value: string) => Promise<string>, by: string): Promise<string>;
  /** What there is, by name; never a value. */
  list(): Promise<SecretInfo[]>;
};

export type SecretInfo = {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly setAt: number;
};
