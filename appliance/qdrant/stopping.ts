import { NikaError } from "../../convex/model/error.ts";

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled(signal);
}

const cancelled = (signal: AbortSignal): NikaError => new NikaError("cancelled", "It was cancelled.", { cause: signal.reason });

/** The client takes no signal, so what comes after it fired is left to finish unheard. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: stop, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(cancelled(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, stop]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
