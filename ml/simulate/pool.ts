/**
 * A pool of rented machines over days, event by event, with the same code that decides in the appliance. Everything that happens comes
 * from the seed; what decides sees only what has happened. Times in ms, amounts in micro-USD.
 */
import { choose, quantised, type Errand } from "../../convex/model/choose.ts";
import type { Offer, ProviderId } from "../../convex/model/gpu.ts";
import { blockFor, learn, oddsOf, placeOf, type Block, type Evidence, type Odds } from "../../convex/model/posterior.ts";
import { expectedMs, type PoolMachine } from "../../convex/model/scale.ts";
import { openAgenda } from "./events.ts";
import { openRandom, type Random } from "./random.ts";

export type Job = { readonly at: number; readonly ms: number };
export type Outage = { readonly provider: ProviderId; readonly from: number; readonly to: number };

export type PoolWorld = {
  readonly seed: number;
  readonly jobs: readonly Job[];
  readonly offers: readonly Offer[];
  /** From asking to first work, and to hearing that there is none. */
  readonly bootMs: readonly [from: number, to: number];
  readonly refusalMs: readonly [from: number, to: number];
  /** Share of requests that come to nothing though the provider is well. */
  readonly refusedShare: number;
  readonly outages: readonly Outage[];
  /** Machines taken away in an hour, as a share; 0 for none. Their job starts over, at the front. */
  readonly lostHourly: number;
};

/** All that a policy may see. */
export type PoolView = {
  readonly now: number;
  readonly waiting: number;
  readonly oldestAt?: number;
  readonly running: number;
  readonly arrived: number;
  readonly meanMs: number;
  readonly machines: readonly PoolMachine[];
  /** Learned from those that came. */
  readonly bootMs: number;
  readonly quantumMs: number;
};
export type PoolMove = { readonly add: number; readonly remove: readonly string[] };
export type PoolPolicy = {
  readonly name: string;
  readonly tickMs: number;
  /** With a memory of its own. */
  open(): (view: PoolView) => PoolMove;
};

export type PoolResult = {
  readonly pureMicros: number;
  readonly costMicros: number;
  readonly bootMicros: number;
  readonly idleMicros: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  readonly boots: number;
  readonly refused: number;
  readonly preempted: number;
  /** How often it went up after down, or down after up. */
  readonly flips: number;
  readonly machinesMax: number;
  /** Machines alive when all was over. */
  readonly left: number;
};

type Machine = {
  readonly id: string;
  readonly offer: Offer;
  readonly askedAt: number;
  state: "booting" | "ready" | "gone";
  readyAt: number;
  job: Job | undefined;
  idleSince: number;
  busyMs: number;
};
type Happening =
  | { readonly type: "arrives"; readonly job: Job }
  | { readonly type: "boots"; readonly machine: Machine }
  | { readonly type: "refused"; readonly machine: Machine }
  | { readonly type: "lost"; readonly machine: Machine }
  | { readonly type: "ends"; readonly machine: Machine; readonly job: Job }
  | { readonly type: "tick" };

const usualBootMs = 4 * 60_000;
const usualJobMs = 4 * 60_000;
const durationsKept = 200;
const usdPerEur = 1;

/** Runs until all jobs are done and the policy has let everything go, or `patienceMs` after the last job. */
export function simulatePool(world: PoolWorld, policy: PoolPolicy): PoolResult {
  return new Pool(world, policy).run();
}

class Pool {
  readonly #world: PoolWorld;
  readonly #policy: PoolPolicy;
  readonly #look: (view: PoolView) => PoolMove;
  readonly #agenda = openAgenda<Happening>();
  readonly #chance: { readonly boot: Random; readonly refusal: Random; readonly pick: Random; readonly loss: Random };
  readonly #machines = new Map<string, Machine>();
  readonly #ended: Machine[] = [];
  #queue: Job[] = [];
  #queueAt = 0;
  readonly #idle: Machine[] = [];
  readonly #waits: number[] = [];
  readonly #durations: number[] = [];
  readonly #evidence = new Map<string, Evidence>();
  readonly #blocks = new Map<string, Block>();
  #arrived = 0;
  #done = 0;
  #made = 0;
  #cost = 0;
  #tally = { boots: 0, refused: 0, preempted: 0, flips: 0, machinesMax: 0 };
  #direction = 0;
  /** Of this look. */
  #best: { readonly bootMs: number; readonly offer?: Offer } = { bootMs: usualBootMs };
  #now = 0;

  constructor(world: PoolWorld, policy: PoolPolicy) {
    this.#world = world;
    this.#policy = policy;
    this.#look = policy.open();
    const random = openRandom(world.seed);
    this.#chance = {
      boot: random.fork("boot"),
      refusal: random.fork("refusal"),
      pick: random.fork("pick"),
      loss: random.fork("loss"),
    };
    for (const job of world.jobs) this.#agenda.add(job.at, { type: "arrives", job });
    this.#agenda.add(0, { type: "tick" });
  }

  run(): PoolResult {
    const lastAt = (this.#world.jobs.at(-1)?.at ?? 0) + patienceMs;
    for (let next = this.#agenda.take(); next && next.at <= lastAt; next = this.#agenda.take()) {
      this.#now = next.at;
      this.#happen(next.event);
      if (this.#done === this.#world.jobs.length && this.#machines.size === 0) break;
    }
    return this.#result();
  }

  #happen(event: Happening): void {
    if (event.type === "tick") this.#tick();
    else if (event.type === "arrives") {
      this.#arrived++;
      this.#enqueue(event.job);
    } else if (event.machine.state === "gone") return;
    else if (event.type === "boots") this.#boot(event.machine);
    else if (event.type === "refused") this.#refuse(event.machine);
    else if (event.type === "lost") this.#lose(event.machine);
    else if (event.machine.job === event.job) this.#end(event.machine, event.job);
  }

  #enqueue(job: Job): void {
    // Which of the idle ones is quickest to take it is chance.
    const at = this.#idle.length === 0 ? -1 : this.#chance.pick.below(this.#idle.length);
    const machine = this.#idle[at];
    if (!machine) {
      this.#queue.push(job);
      return;
    }
    this.#idle.splice(at, 1);
    this.#begin(machine, job);
  }

  #begin(machine: Machine, job: Job): void {
    machine.job = job;
    this.#waits.push(this.#now - job.at);
    machine.busyMs += job.ms;
    this.#agenda.add(this.#now + job.ms, { type: "ends", machine, job });
  }

  #free(machine: Machine): void {
    machine.job = undefined;
    const job = this.#queue[this.#queueAt];
    if (job) {
      this.#queueAt++;
      this.#begin(machine, job);
    } else {
      machine.idleSince = this.#now;
      this.#idle.push(machine);
    }
  }

  #end(machine: Machine, job: Job): void {
    this.#done++;
    this.#durations.push(job.ms);
    if (this.#durations.length > durationsKept) this.#durations.shift();
    this.#free(machine);
  }

  #boot(machine: Machine): void {
    machine.state = "ready";
    machine.readyAt = this.#now;
    this.#learn(machine, { type: "had", bootMs: this.#now - machine.askedAt });
    for (const name of this.#blocks.keys()) if (name === blockNameOf(machine)) this.#blocks.delete(name);
    if (this.#world.lostHourly > 0)
      this.#agenda.add(this.#now + this.#chance.loss.exponential(3_600_000 / this.#world.lostHourly), { type: "lost", machine });
    this.#free(machine);
  }

  #refuse(machine: Machine): void {
    this.#tally.refused++;
    this.#learn(machine, { type: "refused" });
    const failure = { kind: "noCapacity", scope: "zone", says: "There is none." } as const;
    const block = blockFor(machine.offer, failure, this.#blocks.get(blockNameOf(machine)), this.#now);
    this.#blocks.set(block.name, block);
    machine.state = "gone";
    this.#machines.delete(machine.id);
  }

  /** Its job starts over before all others; the wait it had is what it had. */
  #lose(machine: Machine): void {
    this.#tally.preempted++;
    this.#learn(machine, { type: "lost" });
    const { job } = machine;
    if (job) {
      machine.busyMs -= job.ms;
      this.#waits.pop();
      this.#queue.splice(this.#queueAt, 0, job);
    }
    this.#remove(machine);
  }

  #learn(machine: Machine, news: Parameters<typeof learn>[2]): void {
    const place = placeOf(machine.offer);
    this.#evidence.set(place, learn(place, this.#evidence.get(place), news, this.#now));
  }

  #tick(): void {
    const view = this.#view();
    this.#arrived = 0;
    const { add, remove } = this.#look(view);
    for (const id of remove) {
      const machine = this.#machines.get(id);
      if (machine && !machine.job) this.#remove(machine);
    }
    const { offer } = this.#best;
    if (offer) for (let asked = 0; asked < add; asked++) this.#ask(offer);
    const direction = Math.sign(add - remove.length);
    if (direction !== 0) {
      if (this.#direction !== 0 && direction !== this.#direction) this.#tally.flips++;
      this.#direction = direction;
    }
    this.#tally.machinesMax = Math.max(this.#tally.machinesMax, this.#machines.size);
    // What was begun long ago is not carried along.
    if (this.#queueAt > 1024) {
      this.#queue = this.#queue.slice(this.#queueAt);
      this.#queueAt = 0;
    }
    this.#agenda.add(this.#now + this.#policy.tickMs, { type: "tick" });
  }

  #view(): PoolView {
    const oldest = this.#queue[this.#queueAt];
    const machines = [...this.#machines.values()];
    const meanMs = expectedMs(this.#durations, usualJobMs);
    this.#best = this.#next(meanMs);
    const { bootMs, offer } = this.#best;
    return {
      now: this.#now,
      waiting: this.#queue.length - this.#queueAt,
      ...(oldest && { oldestAt: oldest.at }),
      running: machines.filter(({ job }) => job).length,
      arrived: this.#arrived,
      meanMs,
      machines: machines.map((machine) => seen(machine)),
      bootMs,
      quantumMs: offer?.quantumMs ?? 1_000,
    };
  }

  #odds(offer: Offer): Odds {
    return oddsOf(offer, this.#evidence.get(placeOf(offer)), this.#now);
  }

  #next(runMs: number): { readonly bootMs: number; readonly offer?: Offer } {
    const errand: Errand = { need: {}, bootMs: usualBootMs, runMs, delayHourly: { micros: 600_000, currency: "USD" } };
    // Prices stand as they are for the whole time.
    const offers = this.#world.offers.map((offer) => ({ ...offer, pricedAt: this.#now }));
    const blocks = [...this.#blocks.values()];
    const { choices } = choose(errand, offers, { now: this.#now, oddsOf: (offer) => this.#odds(offer), blocks, usdPerEur });
    const best = choices[0];
    return {
      bootMs: best?.odds.bootMs ?? usualBootMs,
      ...(best && { offer: best.offer }),
    };
  }

  #ask(offer: Offer): void {
    const { bootMs, refusalMs, refusedShare, outages } = this.#world;
    const machine: Machine = {
      id: String(++this.#made).padStart(6, "0"),
      offer,
      askedAt: this.#now,
      state: "booting",
      readyAt: 0,
      job: undefined,
      idleSince: 0,
      busyMs: 0,
    };
    this.#machines.set(machine.id, machine);
    const isOut = outages.some(({ provider, from, to }) => provider === offer.provider && this.#now >= from && this.#now < to);
    const isRefused = this.#chance.refusal.next() < refusedShare || isOut;
    const [from, to] = isRefused ? refusalMs : bootMs;
    this.#agenda.add(
      this.#now + this.#chance.boot.between(from, to),
      isRefused ? { type: "refused", machine } : { type: "boots", machine },
    );
  }

  #remove(machine: Machine): void {
    this.#tally.boots++;
    if (machine.state === "booting") machine.readyAt = this.#now;
    machine.state = "gone";
    this.#cost += quantised(machine.offer, this.#now - machine.askedAt);
    this.#machines.delete(machine.id);
    const at = this.#idle.indexOf(machine);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#ended.push(machine);
  }

  #result(): PoolResult {
    const left = this.#machines.size;
    for (const machine of this.#machines.values()) this.#remove(machine);
    const hourly = this.#world.offers[0]?.hourly.micros ?? 0;
    const micros = (ms: number): number => (hourly * ms) / 3_600_000;
    const sum = (each: (machine: Machine) => number): number => this.#ended.reduce((all, one) => all + each(one), 0);
    const waits = this.#waits.toSorted((a, b) => a - b);
    const at = (share: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0;
    const pureMicros = micros(this.#world.jobs.reduce((all, { ms }) => all + ms, 0));
    const bootMicros = micros(sum(({ readyAt, askedAt }) => readyAt - askedAt));
    const costMicros = this.#cost;
    return {
      pureMicros,
      costMicros,
      bootMicros,
      idleMicros: costMicros - bootMicros - micros(sum(({ busyMs }) => busyMs)),
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      maxMs: waits.at(-1) ?? 0,
      ...this.#tally,
      left,
    };
  }
}

const patienceMs = 6 * 3_600_000;
const blockNameOf = ({ offer }: Machine): string => `${offer.provider}/zone/${offer.zone ?? offer.region}`;

function seen({ id, state, askedAt, job, idleSince, offer }: Machine): PoolMachine {
  const isIdle = state === "ready" && !job;
  return {
    id,
    state: state === "booting" ? "booting" : "ready",
    askedAt,
    slots: 1,
    busy: job ? 1 : 0,
    ...(isIdle && { idleSince }),
    quantumMs: offer.quantumMs,
    hourlyMicros: offer.hourly.micros,
  };
}
