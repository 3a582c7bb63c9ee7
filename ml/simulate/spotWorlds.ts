/**
 * Zones in which spot machines come and go, by the statistics of the public spot traces (9 AWS zones, 45 days, one V100; facts as measured
 * for the study): how often each zone has one, how long runs last, how zones of one region and of others go together. Each zone is up
 * while a sum of first-order Markov processes is below a level: a slow one of the world, one of the region, one of its own, and a fast one.
 * Runs that short come out shorter than the traces' at the median (0.2 h against 0.3 to 1.3), so there are more losses than there were.
 */
import { openRandom, type Random } from "./random.ts";

/** Of the traces; the study's 195 s between two looks. */
export const stepMs = 195_000;
const slowHours = 24;
const fastHours = 1;
/** Shares of the slow part that all zones, and those of one region, have in common. */
const worldShare = 0.25;
const regionShare = 0.5;

export type ZoneShape = {
  readonly zone: string;
  readonly region: string;
  /** Of the time. */
  readonly available: number;
  /** Of what moves it; fitted so that up-runs last as long on average as in the traces. */
  readonly fastShare: number;
};

export const tracedZones: readonly ZoneShape[] = [
  { zone: "us-east-1a", region: "us-east-1", available: 0.17, fastShare: 0.102 },
  { zone: "us-east-1c", region: "us-east-1", available: 0.47, fastShare: 0.059 },
  { zone: "us-east-1d", region: "us-east-1", available: 0.45, fastShare: 0.039 },
  { zone: "us-east-1f", region: "us-east-1", available: 0.59, fastShare: 0.026 },
  { zone: "us-east-2a", region: "us-east-2", available: 0.76, fastShare: 0.002 },
  { zone: "us-east-2b", region: "us-east-2", available: 0.68, fastShare: 0.002 },
  { zone: "us-west-2a", region: "us-west-2", available: 0.88, fastShare: 0.048 },
  { zone: "us-west-2b", region: "us-west-2", available: 0.9, fastShare: 0.002 },
  { zone: "us-west-2c", region: "us-west-2", available: 0.89, fastShare: 0.039 },
];

/** One byte a step and zone: 1 while one is to be had. */
export type SpotWorld = { readonly zones: readonly string[]; readonly up: ReadonlyMap<string, Uint8Array> };

export function spotWorld(seed: number, steps: number, shapes: readonly ZoneShape[] = tracedZones): SpotWorld {
  const random = openRandom(seed);
  const world = wander(random.fork("world"), slowHours, steps);
  const regions = new Map<string, Float64Array>();
  for (const { region } of shapes)
    if (!regions.has(region)) regions.set(region, wander(random.fork(`region ${region}`), slowHours, steps));
  const up = new Map<string, Uint8Array>();
  for (const shape of shapes) {
    const own = wander(random.fork(`zone ${shape.zone}`), slowHours, steps);
    const fast = wander(random.fork(`fast ${shape.zone}`), fastHours, steps);
    up.set(shape.zone, upOf(shape, { world, region: regions.get(shape.region) ?? own, own, fast }));
  }
  return { zones: shapes.map(({ zone }) => zone), up };
}

type Parts = Readonly<Record<"world" | "region" | "own" | "fast", Float64Array>>;

function upOf({ available, fastShare }: ZoneShape, { world, region, own, fast }: Parts): Uint8Array {
  const slow = Math.sqrt(1 - fastShare);
  const [ofWorld, ofRegion] = [slow * Math.sqrt(worldShare), slow * Math.sqrt(regionShare)];
  const ofOwn = slow * Math.sqrt(1 - worldShare - regionShare);
  const ofFast = Math.sqrt(fastShare);
  const level = normalQuantile(available);
  return Uint8Array.from(own, (value, at) => {
    const sum = ofOwn * value + ofWorld * (world[at] ?? 0) + ofRegion * (region[at] ?? 0) + ofFast * (fast[at] ?? 0);
    return sum < level ? 1 : 0;
  });
}

/** A stationary process with variance 1 that forgets within about so many hours. */
function wander(random: Random, hours: number, steps: number): Float64Array {
  const keep = Math.exp(-stepMs / (hours * 3_600_000));
  const stir = Math.sqrt(1 - keep * keep);
  let value = random.normal();
  return Float64Array.from({ length: steps }, () => (value = keep * value + stir * random.normal()));
}

/** By halving: it is asked a dozen times. */
function normalQuantile(share: number): number {
  let [low, high] = [-6, 6];
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Of a normal variable below `x`: the density summed by Simpson's rule. */
function normalShare(x: number): number {
  const pieces = 200;
  const width = x / pieces;
  const density = (at: number): number => Math.exp((-at * at) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let at = 1; at < pieces; at++) sum += density(at * width) * (at % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * width) / 3;
}

export type WorldFacts = {
  readonly available: readonly number[];
  /** Hours. */
  readonly upMean: readonly number[];
  readonly downMean: readonly number[];
  readonly sameRegion: number;
  readonly otherRegion: number;
  readonly anyUp: number;
};

/** The statistics by which a world is compared with the traces. */
export function worldFacts({ zones, up }: SpotWorld, regionOf: (zone: string) => string): WorldFacts {
  const of = (zone: string): Uint8Array => up.get(zone) ?? new Uint8Array();
  const pairs = zones.flatMap((a, at) =>
    zones.slice(0, at).map((b) => ({ isSame: regionOf(a) === regionOf(b), value: correlation(of(a), of(b)) })),
  );
  const steps = of(zones[0] ?? "").length;
  let any = 0;
  for (let at = 0; at < steps; at++) if (zones.some((zone) => of(zone)[at] === 1)) any++;
  return {
    available: zones.map((zone) => mean([...of(zone)])),
    upMean: zones.map((zone) => runMean(of(zone), 1)),
    downMean: zones.map((zone) => runMean(of(zone), 0)),
    sameRegion: mean(pairs.filter(({ isSame }) => isSame).map(({ value }) => value)),
    otherRegion: mean(pairs.filter(({ isSame }) => !isSame).map(({ value }) => value)),
    anyUp: any / steps,
  };
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

function runMean(up: Uint8Array, which: number): number {
  let [steps, runs] = [0, 0];
  for (let at = 0; at < up.length; at++) {
    if (up[at] !== which) continue;
    steps++;
    if (at === 0 || up[at - 1] !== which) runs++;
  }
  return runs === 0 ? 0 : ((steps / runs) * stepMs) / 3_600_000;
}

function correlation(a: Uint8Array, b: Uint8Array): number {
  const [ofA, ofB] = [mean([...a]), mean([...b])];
  let both = 0;
  for (let at = 0; at < a.length; at++) both += (a[at] ?? 0) * (b[at] ?? 0);
  return (both / a.length - ofA * ofB) / Math.sqrt(ofA * (1 - ofA) * ofB * (1 - ofB));
}
