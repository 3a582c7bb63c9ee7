import type { JobKind } from "../../convex/model/kinds.ts";
import type { JobFunction, Ports } from "../define.ts";

/** A job function whatever its kind and needs. The pair of arguments and kind was checked when the job was enqueued. */
// oxlint-disable-next-line typescript/no-explicit-any -- the only way to say "some kind, some needs" of a contravariant type
export type AnyJobFunction = JobFunction<any, any>;

/** Finds the function of a kind. Two for one kind is a mistake of ours, found at start. */
export function openRegistry(functions: readonly AnyJobFunction[]): (kind: string) => AnyJobFunction | undefined {
  const byKind = new Map<JobKind, AnyJobFunction>();
  for (const f of functions) {
    if (byKind.has(f.kind)) throw new Error(`two functions for ${String(f.kind)}`);
    byKind.set(f.kind, f);
  }
  return (kind) => byKind.get(kind as JobKind);
}

/** The ports a function asked for, and no others. */
export function pick<Needs extends keyof Ports>(ports: Pick<Ports, Needs>, needs: readonly Needs[]): Pick<Ports, Needs> {
  return Object.fromEntries(needs.map((need) => [need, ports[need]])) as Pick<Ports, Needs>;
}
