/**
 * What emulated clouds of machines have in common: a bill, a clock that others move, things that take time to start and to end, and the
 * lies of tests/fakes/gpu/fault.ts. How each vendor words all that stands in its own file.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Alive, Fault, Lying } from "./fault.ts";

/** Something billed. What is undefined has not happened. */
export type Thing = {
  readonly id: string;
  readonly name: string;
  readonly place: string;
  readonly type: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly isSpot: boolean;
  readonly hourlyMicros: number;
  readonly bornAt: number;
  readonly isForeign?: boolean;
  /** Whatever else its vendor keeps of it. */
  readonly asked: Readonly<Record<string, unknown>>;
  upAt: number;
  /** The vendor's own timer. */
  ttlAt?: number;
  stoppedAt?: number;
  endingAt?: number;
  goneAt?: number;
  wentBy?: "preemption" | "itself" | "vendor" | "elsewhere" | "us";
  /** Bills on when the machine is gone and this is not. */
  disk?: { readonly id: string; readonly hourlyMicros: number; goneAt?: number };
  /** Terminating will forget the disk. */
  leavesDisk?: boolean;
};

export type Reply = { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> };
/** The connection breaks instead of an answer. */
export const lost = "lost";

export type CloudOptions = {
  readonly now: () => number;
  readonly can: readonly Fault[];
  readonly bootMs?: number;
  readonly endMs?: number;
  /** What a stopped machine costs beside its disk: all of it where a vendor goes on billing. */
  readonly isStoppedBilled?: boolean;
};

export type Cloud = {
  readonly things: Thing[];
  readonly lying: Lying;
  now(): number;
  /** True until cleared. */
  is(fault: Fault): boolean;
  scopeOf(fault: Fault): string | undefined;
  /** True once. */
  take(fault: Fault): boolean;
  add(thing: Omit<Thing, "bornAt" | "upAt">): Thing;
  /** Begins its end, or does as if. False: nothing was begun although it was accepted. */
  end(thing: Thing, by: NonNullable<Thing["wentBy"]>): boolean;
  /** As from inside. */
  stop(thing: Thing): void;
  stateOf(thing: Thing): "booting" | "running" | "stopped" | "ending" | "gone";
  /** Whether its lists show it by now, one omission when asked for. */
  listed(lagMs: number): Thing[];
  findById(id: string): Thing | undefined;
  nextId(prefix: string, chars?: number): string;
  /** The bill as it is told now, by thing and day of UTC. */
  bill(): readonly BilledPart[];
  /** What it is in, where `own` is the vendor's. */
  billCurrency(own: string): string;
};

export type BilledPart = { readonly thing: Thing; readonly day: string; readonly micros: number };
const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Vendors round each sum, to the hundredth of a cent or so. */
const roundMicros = 100;

export function openCloud({ now, can, bootMs = 40_000, endMs = 30_000, isStoppedBilled = false }: CloudOptions): Cloud {
  const things: Thing[] = [];
  const set = new Map<Fault, { scope?: string; left: number }>();
  const openedAt = now();
  let serial = 0;

  const stateOf = (thing: Thing): ReturnType<Cloud["stateOf"]> =>
    thing.goneAt !== undefined && thing.goneAt <= now()
      ? "gone"
      : thing.endingAt !== undefined
        ? "ending"
        : thing.stoppedAt !== undefined
          ? "stopped"
          : thing.upAt > now()
            ? "booting"
            : "running";

  const begin = (thing: Thing, by: NonNullable<Thing["wentBy"]>, atMs = now()): void => {
    if (thing.endingAt !== undefined) return;
    thing.endingAt = atMs;
    thing.goneAt = atMs + endMs;
    thing.wentBy = by;
    if (thing.disk && thing.leavesDisk !== true) thing.disk.goneAt = thing.goneAt;
  };
  const billedOf = (thing: Thing): number => {
    const machineEnd = Math.min(now(), thing.goneAt ?? Infinity, isStoppedBilled ? Infinity : (thing.stoppedAt ?? Infinity));
    const diskEnd = Math.min(now(), thing.disk?.goneAt ?? Infinity);
    const hours = (end: number): number => Math.max(0, end - thing.bornAt) / 3_600_000;
    return hours(machineEnd) * thing.hourlyMicros + (thing.disk ? hours(diskEnd) * thing.disk.hourlyMicros : 0);
  };
  /** What was used between two times, with its disk. */
  const usedOf = (thing: Thing, from: number, to: number): number => {
    const machineEnd = Math.min(to, thing.goneAt ?? Infinity, isStoppedBilled ? Infinity : (thing.stoppedAt ?? Infinity));
    const diskEnd = Math.min(to, thing.disk?.goneAt ?? Infinity);
    const hours = (end: number): number => Math.max(0, end - Math.max(from, thing.bornAt)) / hourMs;
    return hours(machineEnd) * thing.hourlyMicros + (thing.disk ? hours(diskEnd) * thing.disk.hourlyMicros : 0);
  };
  const newestLive = (): Thing | undefined => things.findLast((one) => !one.isForeign && one.endingAt === undefined);

  const lying: Lying = {
    can,
    set(fault, how) {
      if (!can.includes(fault)) throw new Error(`this vendor does not lie so: ${fault}`);
      if (fault === "disappears" || fault === "preempted") {
        const thing = newestLive();
        if (!thing) return;
        begin(thing, fault === "preempted" ? "preemption" : "elsewhere");
        if (fault === "disappears") {
          thing.goneAt = now();
          if (thing.disk) thing.disk.goneAt = now();
        }
        return;
      }
      set.set(fault, {
        left: fault === "terminateIgnoredTwice" ? 2 : 1,
        ...(how?.scope === undefined ? {} : { scope: how.scope }),
      });
    },
    clear: (fault) => void set.delete(fault),
    alive: () =>
      things.flatMap((thing): Alive[] => {
        const { id, name, bornAt: since, hourlyMicros, disk } = thing;
        if (stateOf(thing) !== "gone" && !(stateOf(thing) === "stopped" && !isStoppedBilled))
          return [{ id, name, since, hourlyMicros }];
        if (!disk || (disk.goneAt !== undefined && disk.goneAt <= now())) return [];
        return [{ id: disk.id, name, since, hourlyMicros: disk.hourlyMicros, isSatellite: true }];
      }),
    billedMicros: () => Math.round(things.reduce((sum, one) => sum + billedOf(one), 0)),
    pass() {
      for (const thing of things)
        if (thing.ttlAt !== undefined && thing.ttlAt <= now() && !set.has("ttlNotEnforced")) begin(thing, "vendor", thing.ttlAt);
    },
    addForeign() {
      serial += 1;
      things.push({
        id: `foreign-${serial}`,
        name: `somebody-${serial}`,
        place: things[0]?.place ?? "",
        type: "foreign",
        tags: { owner: "somebody" },
        isSpot: false,
        hourlyMicros: 1_000_000,
        bornAt: openedAt,
        upAt: openedAt,
        isForeign: true,
        asked: {},
      });
    },
  };

  const take = (fault: Fault): boolean => {
    const found = set.get(fault);
    if (!found) return false;
    found.left -= 1;
    if (found.left <= 0) set.delete(fault);
    return true;
  };

  return {
    things,
    lying,
    now,
    is: (fault) => set.has(fault),
    scopeOf: (fault) => set.get(fault)?.scope,
    take,
    add(thing) {
      const added: Thing = {
        ...thing,
        hourlyMicros: set.has("priceDoubled") ? thing.hourlyMicros * 2 : thing.hourlyMicros,
        bornAt: now(),
        upAt: now() + bootMs,
      };
      things.push(added);
      return added;
    },
    end(thing, by) {
      if (take("terminateIgnoredTwice")) return false;
      if (thing.disk && take("satelliteLeft")) thing.leavesDisk = true;
      begin(thing, by);
      return true;
    },
    stop(thing) {
      thing.stoppedAt ??= now();
    },
    stateOf,
    listed(lagMs) {
      const shown = things.filter((one) => one.bornAt + lagMs <= now());
      const omitted = shown.some((one) => !one.isForeign && stateOf(one) !== "gone") && take("listOmitsOnce");
      const newest = shown.findLast((one) => !one.isForeign && stateOf(one) !== "gone");
      return omitted ? shown.filter((one) => one !== newest) : shown;
    },
    findById: (id) => things.find((one) => one.id === id),
    bill() {
      const upTo = now() - (set.has("billLate") ? dayMs : 0);
      const share = set.has("billMissesHours") ? 0.5 : 1;
      const parts: BilledPart[] = [];
      for (const thing of things)
        for (let from = Math.floor(thing.bornAt / dayMs) * dayMs; from < upTo; from += dayMs) {
          const micros = usedOf(thing, from, Math.min(upTo, from + dayMs)) * share;
          if (micros > 0)
            parts.push({
              thing,
              day: new Date(from).toISOString().slice(0, 10),
              micros: Math.round(micros / roundMicros) * roundMicros,
            });
        }
      return parts;
    },
    billCurrency: (own) => (set.has("billOtherCurrency") ? "GBP" : own),
    nextId(prefix, chars = 17) {
      serial += 1;
      return `${prefix}${serial.toString(16).padStart(chars, "0")}`;
    },
  };
}

export type Heard = {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
};

/** On a port of its own at 127.0.0.1; remembers what it was asked. */
export async function serve(
  answer: (heard: Heard) => Reply | typeof lost | Promise<Reply | typeof lost>,
): Promise<{ readonly url: string; readonly heard: Heard[]; close(): Promise<void> }> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      let body = "";
      for await (const part of request) body += String(part);
      const one: Heard = {
        method: request.method ?? "GET",
        url: new URL(request.url ?? "/", "http://emulator"),
        headers: request.headers,
        body,
      };
      heard.push(one);
      const reply = await answer(one);
      if (reply === lost) {
        request.socket.destroy();
        return;
      }
      response.writeHead(reply.status, reply.headers);
      response.end(reply.body);
    })().catch((error: unknown) => {
      response.writeHead(599);
      response.end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
