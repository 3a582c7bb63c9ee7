/**
 * The way home of rented machines that cannot reach this one: Nika signs in to each by its own key, and what is dialled at some ports of the
 * machine's loopback comes out here. Laid as soon as the machine answers with the key that was made for it, and anew whenever it breaks.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Observed, ProviderId } from "../../../convex/model/gpu.ts";
import type { MachineView } from "../../../convex/model/machine.ts";
import { fingerprintOf, type MachineKey } from "./machineKeys.ts";
import { openSession, type Home, type Session } from "./session.ts";

/** What is dialled at `port` of the machine's own loopback comes to `to`. */
export type Way = { readonly port: number; readonly to: Home };
export type Reached = Pick<MachineView, "id" | "name" | "provider" | "offer" | "owner" | "state" | "deadline" | "ref">;

export type WaysOptions = {
  /** Which ways a machine needs; none where it reaches Nika by itself. */
  readonly waysOf: (machine: Reached) => readonly Way[];
  /** Where it is, as its provider says; undefined while it has no address yet. */
  readonly addressOf: (machine: Reached, signal: AbortSignal) => Promise<Observed["address"]>;
  readonly keyOf: (machine: Reached) => Promise<MachineKey>;
  readonly log: (line: string) => void;
  /** Between two tries, at first. */
  readonly againMs?: number;
};

export type Ways = {
  /** Those that are there now: others are left alone from then on. */
  heed(machines: readonly Reached[]): void;
  close(): void;
};

/** Whom the providers' systems let in by the key that they are given. */
export const users: Readonly<Partial<Record<ProviderId, string>>> = {
  aws: "ubuntu",
  google: "nika",
  azure: "nika",
  scaleway: "root",
  contabo: "root",
};
const living = new Set<Reached["state"]>(["creating", "unknownOutcome", "booting", "ready", "busy", "draining"]);
const usualAgainMs = 3_000;
const againMsMax = 30_000;

export function openWays({ waysOf, addressOf, keyOf, log, againMs = usualAgainMs }: WaysOptions): Ways {
  const kept = new Map<string, AbortController>();

  async function keep(machine: Reached, signal: AbortSignal): Promise<void> {
    let waitMs = againMs;
    let said = "";
    while (!signal.aborted) {
      try {
        const session = await dial(machine, signal);
        if (session) {
          const end = (): void => session.end();
          signal.addEventListener("abort", end, { once: true });
          try {
            if (signal.aborted) return;
            for (const { port, to } of waysOf(machine)) await session.lay(port, to);
            log(`gpu: a way home is laid to ${machine.name}`);
            [waitMs, said] = [againMs, ""];
            await session.ended;
          } finally {
            signal.removeEventListener("abort", end);
            end();
          }
        }
      } catch (error) {
        // While it boots it does not answer, and then by keys that it made itself: nothing is sent to it before it shows the one made here.
        const why = String(error);
        if (why !== said && !signal.aborted) log(`gpu: no way to ${machine.name} yet: ${why}`);
        said = why;
      }
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
      waitMs = Math.min(waitMs * 1.5, againMsMax);
    }
  }

  async function dial(machine: Reached, signal: AbortSignal): Promise<Session | undefined> {
    const address = await addressOf(machine, signal);
    const user = users[machine.provider];
    if (address === undefined || user === undefined || signal.aborted) return undefined;
    const { privateKey, host } = await keyOf(machine);
    const at = { host: address.host, port: address.sshPort, user, privateKey };
    return openSession({ ...at, fingerprint: fingerprintOf(host), keyType: "ssh-ed25519" });
  }

  return {
    heed(machines) {
      const wanted = machines.filter((one) => living.has(one.state) && one.ref !== undefined && waysOf(one).length > 0);
      const ids = new Set<string>(wanted.map(({ id }) => id));
      for (const [id, ending] of kept)
        if (!ids.has(id)) {
          kept.delete(id);
          ending.abort();
        }
      for (const machine of wanted) {
        if (kept.has(machine.id)) continue;
        const ending = new AbortController();
        kept.set(machine.id, ending);
        void keep(machine, ending.signal);
      }
    },
    close() {
      for (const ending of kept.values()) ending.abort();
      kept.clear();
    },
  };
}
