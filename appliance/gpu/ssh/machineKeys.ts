/**
 * A key of each rented machine's own, by which its owner can sign in to it by SSH. Both halves are a secret until the machine's time is over: asked
 * for again, the same machine is asked for with the same key.
 */
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { newSshKey, type SshKey } from "./hosts.ts";

export type MachineKeys = {
  /** Made when there is none. `until`: nobody needs it after that, in ms since 1970. */
  of(machine: string, until: number): Promise<SshKey>;
};

const prefix = "gpu.machine.";
const reader = "rented machines";
/** What outlives its deadline may have to be looked into. */
const graceMs = 7 * 24 * 3_600_000;
const secondMs = 1_000;

export function openMachineKeys(secrets: Secrets, now: () => number): MachineKeys {
  // One at a time, so that a machine never has two.
  let last: Promise<unknown> = Promise.resolve();

  async function keyOf(machine: string, until: number): Promise<SshKey> {
    const kept = (await secrets.list()).map(({ name }) => name).filter((name) => name.startsWith(prefix));
    for (const name of kept) if (untilOf(name) + graceMs < now()) await secrets.remove(name, reader);
    const known = kept.find((name) => name.startsWith(`${prefix}${machine}.`));
    const text = known && (await secrets.find(known, reader));
    if (text) return JSON.parse(text) as SshKey;
    const made = await newSshKey();
    // Names of secrets say when they are over, so that nobody has to read them to know.
    await secrets.set(`${prefix}${machine}.${Math.ceil(until / secondMs)}`, JSON.stringify(made), reader);
    return made;
  }

  return {
    of(machine, until) {
      const next = last.then(() => keyOf(machine, until));
      last = next.catch(() => undefined);
      return next;
    },
  };
}

const untilOf = (name: string): number => Number(name.slice(name.lastIndexOf(".") + 1)) * secondMs;
