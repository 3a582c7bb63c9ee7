/** So many calls in any minute, and no more: the service's patience is not this server's to use up. */
export type Limiter = {
  /** Milliseconds until a call may go out; 0 when it may now, and then it counts. */
  take(now: number): number;
};

const windowMs = 60_000;

export function openLimiter(callsPerMinute: number): Limiter {
  const taken: number[] = [];
  return {
    take(now) {
      while (taken.length > 0 && (taken[0] ?? 0) <= now - windowMs) taken.shift();
      if (taken.length >= callsPerMinute) return (taken[0] ?? now) + windowMs - now;
      taken.push(now);
      return 0;
    },
  };
}
