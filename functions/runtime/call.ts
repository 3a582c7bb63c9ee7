import { NikaError } from "../../convex/model/error.ts";
import type { CallFunction, Ports } from "../define.ts";
import { pick } from "./registry.ts";

/** Answers somebody who waits: at its deadline the asker gets `timeout`, whatever the function is doing. */
export async function runCall<Args, Result, Needs extends keyof Ports>(
  call: CallFunction<Args, Result, Needs>,
  { args, ports, signal }: { readonly args: Args; readonly ports: Pick<Ports, Needs>; readonly signal: AbortSignal },
): Promise<Result> {
  const stop = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const end = (error: NikaError): void => {
    reject(error);
    stop.abort(error);
  };
  const leave = (): void => end(new NikaError("cancelled", "The question was withdrawn."));
  const timer = setTimeout(() => end(new NikaError("timeout", "It took too long to answer; try again.")), call.deadlineMs);
  signal.addEventListener("abort", leave, { once: true });
  try {
    if (signal.aborted) leave();
    const running = signal.aborted ? stopped : call.run(args, pick(ports, call.needs), stop.signal);
    return await Promise.race([running, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}
