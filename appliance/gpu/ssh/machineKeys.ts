/**
 * Keys of each rented machine's own: one by which its owner can sign in to it by SSH, and one by which it shows that it is that machine, made
 * here so that it is known before the machine is. They are a secret until its time is over: asked for again, the same machine is asked for with
 * the same keys.
 */
import { createHash } from "node:crypto";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { newSshKey, type SshKey } from "./hosts.ts";

export type MachineKey = SshKey & {
  /** What the machine itself answers with. */
  readonly host: SshKey;
};
export type MachineKeys = {
  /** Made when there is none. `until`: nobody needs it after that, in ms since 1970. */
  of(machine: string, until: number): Promise<MachineKey>;
};

/** As `ssh` shows it, without the name of the hash. */
export function fingerprintOf({ publicKey }: Pick<SshKey, "publicKey">): string {
  const [, blob = ""] = publicKey.split(" ");
  return createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64");
}

const reader = "rented machines";
/** What outlives its deadline may have to be looked into. */
const graceMs = 7 * 24 * 3_600_000;
const secondMs = 1_000;

export const openMachineKeys = (secrets: Secrets, now: () => number): MachineKeys => ({
  of: keepEach(secrets, {
    prefix: "gpu.machine.",
    now,
    make: async (): Promise<MachineKey> => ({ ...(await newSshKey()), host: await newSshKey() }),
  }),
});

export type Keeping<T> = {
  /** Of the names of secrets; ends with a dot. */
  readonly prefix: string;
  readonly now: () => number;
  readonly make: (machine: string) => Promise<T>;
};

/** Something made once for each machine and kept as a secret until a week after its time. */
export function keepEach<T>(secrets: Secrets, { prefix, now, make }: Keeping<T>): (machine: string, until: number) => Promise<T> {
  // One at a time, so that a machine never has two.
  let last: Promise<unknown> = Promise.resolve();

  async function keyOf(machine: string, until: number): Promise<T> {
    const kept = (await secrets.list()).map(({ name }) => name).filter((name) => name.startsWith(prefix));
    for (const name of kept) if (untilOf(name) + graceMs < now()) await secrets.remove(name, reader);
    const known = kept.find((name) => name.startsWith(`${prefix}${machine}.`));
    const text = known && (await secrets.find(known, reader));
    if (text) return JSON.parse(text) as T;
    const made = await make(machine);
    // Names of secrets say when they are over, so that nobody has to read them to know.
    await secrets.set(`${prefix}${machine}.${Math.ceil(until / secondMs)}`, JSON.stringify(made), reader);
    return made;
  }

  return (machine, until) => {
    const next = last.then(() => keyOf(machine, until));
    last = next.catch(() => undefined);
    return next;
  };
}

const untilOf = (name: string): number => Number(name.slice(name.lastIndexOf(".") + 1)) * secondMs;
