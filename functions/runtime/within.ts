import { setTimeout as delay } from "node:timers/promises";

/** Waits for `work`, but no longer than `limitMs`: what does not come in that time is not waited for, and no error. */
export async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  const limit = new AbortController();
  try {
    await Promise.race([work, delay(limitMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
  } finally {
    limit.abort();
  }
}
