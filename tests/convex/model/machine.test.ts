/**
 * The life of a machine under random interleavings: a vendor that lies, controllers that die anywhere and come back, two of them at once, the
 * sweeper and the reaper. Pure: the rows are values, the clock is a number. What must hold of every such life is asserted after every step.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { Capability, Failure, Observed, Ref } from "../../../convex/model/gpu.ts";
import {
  createAnswerMs,
  found,
  intended,
  isOver,
  machineStates,
  proofMs,
  step,
  waitMs,
  type EndReason,
  type MachineEvent,
  type MachineLife,
  type MachineTerms,
} from "../../../convex/model/machine.ts";

const second = 1_000;
const minute = 60 * second;
/** What may become of asking. `late`: no answer, and it is made whenever the vendor comes to it. */
const lies = ["none", "lostAfter", "lostBefore", "errorButExists", "twice", "late"] as const;
const failure: Failure = { kind: "transient", scope: "provider", says: "It did not answer." };

/** One thing in the vendor's books. */
type Thing = { readonly ref: Ref; readonly bornAt: number; hasDisk: boolean; isAlive: boolean; shownFrom: number };
type Lie = (typeof lies)[number];
type Row = { life: MachineLife; readonly terms: MachineTerms };
/** A controller in the middle of something: what it will write once it is let. */
type Flight = { readonly row: number; readonly verb: "create" | "end" | "look"; readonly say: () => MachineEvent | undefined };

/** The vendor, the rows, and who is on the way between them. */
class World {
  now = 1_000_000;
  readonly things: Thing[] = [];
  readonly rows: Row[] = [];
  flights: Flight[] = [];
  /** How often the vendor was asked to make one without a token while another ask was open. */
  asked = 0;
  readonly deadline: number;
  readonly createIs: Capability["createIs"];
  readonly listLagMs: number;
  isVendorDown = false;
  /** Asked for, and not made yet. */
  late = 0;

  constructor({ createIs, listLagMs }: { createIs: Capability["createIs"]; listLagMs: number }) {
    this.createIs = createIs;
    this.listLagMs = listLagMs;
    this.deadline = this.now + 60 * minute;
    this.rows.push({ life: intended(this.now), terms: this.terms() });
  }

  terms(): MachineTerms {
    const { now, deadline, createIs, listLagMs } = this;
    return { createdAt: now, deadline, bootBy: now + 15 * minute, createIs, listLagMs };
  }

  apply(at: number, event: MachineEvent): void {
    const row = this.rows[at];
    if (!row) return;
    const before = row.life;
    const seen = event.type === "looked" ? { ...event, found: this.notAnothers(event.found, at) } : event;
    const { life, twins } = step(before, row.terms, seen, this.now);
    row.life = life;
    this.check(before, life, event);
    for (const twin of twins)
      if (!this.rows.some((one) => one.life.ref?.id === twin.ref.id))
        this.rows.push({ life: found(twin, "twin", this.now), terms: this.terms() });
  }

  notAnothers(shown: readonly Observed[], at: number): Observed[] {
    return shown.filter(({ ref }) => !this.rows.some((one, i) => i !== at && one.life.ref?.id === ref.id));
  }

  check(before: MachineLife, life: MachineLife, event: MachineEvent): void {
    assert.ok(machineStates.includes(life.state));
    // Whatever is open is due some time; nothing waits for nobody.
    if (life.state !== "gone") assert.notEqual(life.dueAt, undefined, `${life.state} is never looked at again`);
    // Closed by proof, or because nobody was ever asked.
    if (life.state === "gone" && before.state !== "gone") {
      const isProven = life.cleanLooks >= 2 && this.now - (life.cleanAt ?? this.now) >= Math.max(proofMs, this.listLagMs);
      assert.ok(life.asks === 0 || (isProven && event.type === "looked"), `${before.state} was closed by ${event.type}`);
      assert.ok(event.type !== "time" || life.asks === 0);
    }
    // What is over never works again, whatever is said late.
    if (isOver(before.state)) assert.ok(isOver(life.state), `${before.state} became ${life.state} by ${event.type}`);
    if (before.state === "gone" && life.state !== "gone") assert.equal(life.state, "leakSuspect");
    if (life.state === "leakSuspect") assert.notEqual(life.alarmAt, undefined);
  }

  observed(thing: Thing): Observed {
    const satellites = thing.hasDisk && !thing.isAlive ? [{ kind: "disk" as const, id: `d-${thing.ref.id}`, region: "z" }] : [];
    const state = thing.isAlive ? "running" : satellites.length > 0 ? "stopped" : "gone";
    return { ref: thing.ref, name: "n", state, isBilled: state !== "gone", satellites, createdAt: thing.bornAt };
  }

  /** What a list shows: what lags is not there yet; what ended may still be shown as ended. */
  listed(): Observed[] {
    return this.things.filter(({ shownFrom }) => shownFrom <= this.now).map((thing) => this.observed(thing));
  }

  make(): Thing {
    const isSame = this.createIs !== "notOnce" && this.things.length > 0;
    const [same] = this.things;
    if (isSame && same) return same;
    const id = `m${this.things.length}`;
    const thing: Thing = {
      ref: { provider: "scaleway", region: "z", id },
      bornAt: this.now,
      hasDisk: true,
      isAlive: true,
      shownFrom: this.now + this.listLagMs,
    };
    this.things.push(thing);
    return thing;
  }

  /** A controller takes up what is due; what comes of it is written later, or never. */
  begin(at: number, lie: Lie): void {
    const row = this.rows[at];
    const { verb, dueAt } = row?.life ?? {};
    if (!row || verb === undefined || verb === "wait" || dueAt === undefined || dueAt > this.now) return;
    if (verb === "create") {
      const { asks } = row.life;
      this.apply(at, { type: "asking" });
      if (row.life.state === "creating" && row.life.asks > asks) this.create(at, lie);
    } else if (verb === "end") this.end(at);
    else this.look(at, lie === "lostBefore");
  }

  create(at: number, lie: Lie): void {
    this.asked += 1;
    if (lie === "late") this.late += 1;
    if (this.isVendorDown || lie === "lostBefore" || lie === "late") {
      this.flights.push({ row: at, verb: "create", say: () => ({ type: "createUnknown", failure }) });
      return;
    }
    const thing = this.make();
    if (lie === "twice") this.make();
    this.flights.push({
      row: at,
      verb: "create",
      say: () => {
        if (lie === "lostAfter") return { type: "createUnknown", failure };
        if (lie === "errorButExists") return { type: "createFailed", failure };
        return { type: "created", observed: { ...this.observed(thing), state: "booting" } };
      },
    });
  }

  /** Whoever created is dead, and its work is begun again by another. */
  redo(at: number): void {
    const row = this.rows[at];
    if (row?.life.state !== "creating") return;
    const { asks } = row.life;
    this.apply(at, { type: "asking" });
    if (row.life.state === "creating" && row.life.asks > asks) this.create(at, "none");
  }

  catchUp(): void {
    for (; this.late > 0; this.late -= 1) this.make();
  }

  end(at: number): void {
    const id = this.rows[at]?.life.ref?.id;
    const { isVendorDown } = this;
    const thing = this.things.find(({ ref }) => ref.id === id);
    if (thing && !isVendorDown) {
      // Said once it ends; said again it takes along what was left behind.
      if (!thing.isAlive) thing.hasDisk = false;
      thing.isAlive = false;
    }
    this.flights.push({
      row: at,
      verb: "end",
      say: () => (isVendorDown ? { type: "endFailed", failure } : { type: "endAsked" }),
    });
  }

  /** What it saw is as old as when it looked. */
  look(at: number, isOmitting: boolean): void {
    const { isVendorDown } = this;
    const shown = this.listed().filter((_, i) => !isOmitting || i > 0);
    this.flights.push({
      row: at,
      verb: "look",
      say: () => (isVendorDown ? { type: "lookFailed", failure } : { type: "looked", found: shown }),
    });
  }

  land(pick: number): void {
    const flight = this.flights[pick % Math.max(1, this.flights.length)];
    if (!flight) return;
    this.flights = this.flights.filter((one) => one !== flight);
    const event = flight.say();
    if (event) this.apply(flight.row, event);
  }

  reap(): void {
    for (const at of this.rows.keys()) this.apply(at, { type: "time" });
  }

  sweep(): void {
    if (this.isVendorDown) return;
    for (const one of this.listed()) {
      const holder = this.rows.findIndex(({ life }) => life.ref?.id === one.ref.id);
      const intent = this.rows.findIndex(({ life }) => life.ref === undefined && life.state !== "gone");
      if (holder >= 0) this.apply(holder, { type: "looked", found: [one] });
      else if (intent >= 0) this.apply(intent, { type: "looked", found: [one] });
      else if (one.state !== "gone") this.rows.push({ life: found(one, "stray", this.now), terms: this.terms() });
    }
  }

  alive(): number {
    return this.things.filter(({ isAlive, hasDisk }) => isAlive || hasDisk).length;
  }
}

const whys: readonly EndReason[] = ["finished", "cancelled", "silent", "budget"];

type Move = (world: World) => void;
const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(3), fc.constantFrom(...lies)).map(
      ([at, lie]): Move =>
        (world) =>
          world.begin(at, lie),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.nat(5).map(
      (pick): Move =>
        (world) =>
          world.land(pick),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.integer({ min: 1, max: 400 }).map(
      (s): Move =>
        (world) =>
          void (world.now += s * second),
    ),
  },
  // All controllers die: what was on its way is never written down.
  { weight: 2, arbitrary: fc.constant<Move>((world) => void (world.flights = [])) },
  { weight: 2, arbitrary: fc.constant<Move>((world) => world.redo(0)) },
  { weight: 1, arbitrary: fc.constant<Move>((world) => world.catchUp()) },
  // For a while neither lists nor questions show it, against all that its vendor promises.
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 20 })).map(([at, min]): Move => (world) => {
      const thing = world.things[at];
      if (thing) thing.shownFrom = world.now + min * minute;
    }),
  },
  { weight: 2, arbitrary: fc.constant<Move>((world) => world.reap()) },
  { weight: 2, arbitrary: fc.constant<Move>((world) => world.sweep()) },
  {
    weight: 1,
    arbitrary: fc.boolean().map(
      (isDown): Move =>
        (world) =>
          void (world.isVendorDown = isDown),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...whys).map(
      (why): Move =>
        (world) =>
          world.apply(0, { type: "end", why }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<"enrolled" | "took" | "freed" | "drain">("enrolled", "took", "freed", "drain").map(
      (type): Move =>
        (world) =>
          world.apply(0, { type }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(3).map((at): Move => (world) => {
      const thing = world.things[at];
      if (thing) thing.isAlive = false;
    }),
  },
);
const worlds = fc.record({
  createIs: fc.constantFrom<Capability["createIs"]>("onceByToken", "onceByName", "notOnce"),
  listLagMs: fc.constantFrom(0, 20 * second, 90 * second),
});

test("whatever happens in whatever order, nothing is closed without proof, and in the end nothing is left billing", () => {
  fc.assert(
    fc.property(worlds, fc.array(moves, { maxLength: 60 }), (options, played) => {
      const world = new World(options);
      for (const move of played) move(world);
      settle(world);
      assert.equal(world.alive(), 0, JSON.stringify(world.rows.map(({ life }) => [life.state, life.why, life.ref?.id])));
      for (const { life } of world.rows) assert.equal(life.state, "gone");
    }),
    { numRuns: 2_000, seed: 20_261_121 },
  );
});

test("no machine lives longer past its deadline than killers take, once its vendor answers", () => {
  fc.assert(
    fc.property(worlds, fc.array(moves, { maxLength: 40 }), (options, played) => {
      const world = new World(options);
      for (const move of played) move(world);
      world.isVendorDown = false;
      world.now = Math.max(world.now, world.deadline);
      // Longest doubt about an answer, longest wait between two tries, and the sweeper's time with its quarantine.
      for (const thing of world.things) thing.shownFrom = Math.min(thing.shownFrom, world.now);
      settle(world, createAnswerMs + waitMs(99) + 12 * minute);
      assert.equal(world.things.filter(({ isAlive }) => isAlive).length, 0);
    }),
    { numRuns: 500, seed: 7 },
  );
});

test("where the vendor keeps no token, an unclear answer is never asked for again", () => {
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 60 }), (played) => {
      const world = new World({ createIs: "notOnce", listLagMs: 0 });
      for (const move of played) move(world);
      settle(world);
      assert.ok(world.asked <= 1, `asked ${world.asked} times`);
    }),
    { numRuns: 500, seed: 3 },
  );
});

const terms: MachineTerms = { createdAt: 0, deadline: 60 * minute, bootBy: 15 * minute, createIs: "notOnce", listLagMs: 0 };
const play = (events: readonly (readonly [number, MachineEvent])[]): { life: MachineLife; twins: string[] } => {
  let life = intended(0);
  const twins: string[] = [];
  for (const [at, event] of events) {
    const next = step(life, terms, event, at);
    life = next.life;
    twins.push(...next.twins.map(({ ref }) => ref.id));
  }
  return { life, twins };
};
const shown = (id: string, createdAt: number, changes: Partial<Observed> = {}): Observed => ({
  ref: { provider: "scaleway", region: "z", id },
  name: "n",
  state: "running",
  isBilled: true,
  satellites: [],
  createdAt,
  ...changes,
});

test("of two machines under one name the older is taken and the newer is handed back to be ended", () => {
  const found = [shown("newer", 2), shown("older", 1)];
  const { life, twins } = play([
    [0, { type: "asking" }],
    [1, { type: "createUnknown", failure }],
    [2, { type: "looked", found }],
  ]);
  assert.deepEqual([life.state, life.ref?.id, twins], ["booting", "older", ["newer"]]);
});

test("one that was closed and shows up again is told loudly and ended, and the alarm outlives it", () => {
  const created = shown("a", 1);
  const { life } = play([
    [0, { type: "asking" }],
    [1, { type: "created", observed: created }],
    [2, { type: "end", why: "finished" }],
    [3, { type: "endAsked" }],
    [10 * second, { type: "looked", found: [] }],
    [50 * second, { type: "looked", found: [] }],
  ]);
  assert.equal(life.state, "gone");
  const again = step(life, terms, { type: "looked", found: [created] }, 60 * second).life;
  assert.deepEqual([again.state, again.verb, again.why], ["leakSuspect", "end", "reappeared"]);
  const ended = step(again, terms, { type: "endAsked" }, 61 * second).life;
  const once = step(ended, terms, { type: "looked", found: [] }, 70 * second).life;
  const gone = step(once, terms, { type: "looked", found: [] }, 110 * second).life;
  assert.deepEqual([gone.state, gone.alarmAt], ["gone", 60 * second]);
});

test("a machine whose disk is left behind is not gone", () => {
  const disk = { kind: "disk" as const, id: "d", region: "z" };
  const left = shown("a", 1, { state: "stopped", satellites: [disk] });
  const { life } = play([
    [0, { type: "asking" }],
    [1, { type: "created", observed: shown("a", 1) }],
    [2, { type: "end", why: "finished" }],
    [3, { type: "endAsked" }],
    [10 * second, { type: "looked", found: [left] }],
  ]);
  assert.deepEqual([life.state, life.verb, life.satellites], ["ending", "end", [disk]]);
});

/** The vendor answers, controllers live; the reaper comes each minute and the sweeper every five. */
function settle(world: World, forMs = 12 * 60 * minute): void {
  world.isVendorDown = false;
  world.catchUp();
  const until = world.now + forMs;
  for (let tick = 0; world.now < until; tick += 1) {
    for (let round = 0; round < 4; round += 1) {
      for (const at of world.rows.keys()) world.begin(at, "none");
      while (world.flights.length > 0) world.land(0);
    }
    if (tick % 4 === 0) world.reap();
    if (tick % 20 === 0) world.sweep();
    if (world.rows.every(({ life }) => life.state === "gone") && world.alive() === 0) return;
    assert.ok(tick < 5_000);
    world.now += 15 * second;
  }
}
