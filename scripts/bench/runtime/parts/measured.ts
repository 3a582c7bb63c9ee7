/** What one side was measured to do. */
export type Measured = {
  readonly perSecond?: number;
  readonly p50?: number;
  readonly p99?: number;
  readonly addP50?: number;
  readonly rssMb?: number;
  readonly waitMs?: Record<string, number>;
  readonly cpuUs?: number;
};
