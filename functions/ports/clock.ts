/** The time of day. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number;
};
