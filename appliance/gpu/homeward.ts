/**
 * Keeps the ways home of machines that are there: tunnels into rented ones, further ways into the owner's, and the mesh free of devices whose
 * machine is gone. Looks only while something was asked for or is there.
 */
import { setTimeout as delay } from "node:timers/promises";
import { internal } from "../../convex/_generated/api.js";
import { parseMachineName } from "../../convex/model/gpu.ts";
import type { Providers } from "../../functions/ports/gpu.ts";
import type { State } from "../../functions/ports/state.ts";
import type { OwnerMesh } from "./ownerMesh.ts";
import type { Reach } from "./reach.ts";
import type { MachineKeys } from "./ssh/machineKeys.ts";
import type { SshProvider } from "./ssh/ssh.ts";
import { openWays, type Reached } from "./ssh/ways.ts";

export type HomewardOptions = {
  readonly state: State;
  readonly providers: Providers;
  readonly reach: Reach;
  readonly keys: MachineKeys;
  readonly ssh: Pick<SshProvider, "lay">;
  readonly mesh: OwnerMesh;
  readonly log: (line: string) => void;
};

export type Homeward = {
  /** A machine is about to be asked for. */
  soon(): void;
  close(): void;
};

const lookMs = 3_000;
/** Asked for is not there yet. */
const restMs = 15 * 60_000;

export function openHomeward({ state, providers, reach, keys, ssh, mesh, log }: HomewardOptions): Homeward {
  const closing = new AbortController();
  let until = 0;
  let isLooking = false;
  let inMesh = "";
  const isWorker = ({ owner }: Reached): boolean => owner.type === "lane";
  const ways = openWays({
    waysOf: (machine) => (machine.provider === "ssh" ? [] : reach.ways(machine.offer, isWorker(machine))),
    async addressOf({ ref }, signal) {
      if (!ref) return undefined;
      return (await (await providers.open(ref.provider)).describe(ref, signal))?.address;
    },
    keyOf: ({ name, deadline }) => keys.of(parseMachineName(name)?.machineId ?? name, deadline),
    log,
  });

  /** True while something is there that needs any of this. */
  async function look(): Promise<boolean> {
    const machines: readonly Reached[] = await state.query(internal.machines.all, {});
    const mine = machines.filter(({ offer, owner }) => reach.ways(offer, owner.type === "lane").length > 0);
    ways.heed(mine);
    for (const machine of mine)
      if (machine.provider === "ssh")
        void ssh.lay(machine.offer.region, reach.ways(machine.offer, isWorker(machine))).catch(() => undefined);
    const meshed = machines.filter(({ offer }) => reach.of(offer)?.by === "mesh").map(({ name }) => name);
    if (mesh.url() !== undefined && meshed.join() !== inMesh) {
      await mesh.tidy(new Set(meshed), closing.signal);
      inMesh = meshed.join();
    }
    return mine.length > 0 || meshed.length > 0;
  }

  async function attend(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    let isNeeded = true;
    let said = "";
    while (!closing.signal.aborted && (isNeeded || Date.now() < until)) {
      try {
        isNeeded = await look();
        said = "";
      } catch (error) {
        const why = String(error);
        if (why !== said && !closing.signal.aborted) log(`gpu: ways home: ${why}`);
        said = why;
      }
      await delay(lookMs, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
    }
    isLooking = false;
  }

  // Of an earlier start there may be machines.
  void attend();
  return {
    soon() {
      until = Date.now() + restMs;
      void attend();
    },
    close() {
      closing.abort();
      ways.close();
    },
  };
}
