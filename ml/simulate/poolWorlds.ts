/** The world of the acceptance run: three days of jobs, most by the hour of the day, many in bursts, and providers that fail. */
import type { Offer, ProviderId } from "../../convex/model/gpu.ts";
import type { Job, PoolWorld } from "./pool.ts";
import { openRandom } from "./random.ts";

const hourMs = 3_600_000;
const minuteMs = 60_000;

export type WorldShape = {
  readonly seed: number;
  readonly jobs: number;
  readonly hours: number;
  readonly dailyShare: number;
  readonly bursts: number;
  /** All jobs of a burst come within this. */
  readonly burstMs: number;
  readonly quantumMs: number;
};

/** Of the study: 10,000 jobs over 72 h, 60 % in a cycle of a day, 24 bursts, log-normal durations with median 4 min. */
export const studied: Omit<WorldShape, "seed"> = {
  jobs: 10_000,
  hours: 72,
  dailyShare: 0.6,
  bursts: 24,
  burstMs: 2 * minuteMs,
  quantumMs: 1_000,
};
/** With which the mean of 10,000 durations of median 4 min is 5.5 min: the study's 551 USD of pure work at 0.60 USD an hour. */
const sigma = 0.8;
const medianMs = 4 * minuteMs;

export function poolWorld(shape: WorldShape): PoolWorld {
  const { seed, jobs, hours, dailyShare, bursts, burstMs, quantumMs } = shape;
  const random = openRandom(seed).fork("jobs");
  const duration = (): number => medianMs * Math.exp(sigma * random.normal());
  const endMs = hours * hourMs;
  const daily = Math.round(jobs * dailyShare);
  const times: number[] = [];
  while (times.length < daily) {
    const at = random.next() * endMs;
    // From a tenth at night to all at noon.
    if (random.next() < 0.55 - 0.45 * Math.cos((2 * Math.PI * at) / (24 * hourMs))) times.push(at);
  }
  const perBurst = (jobs - daily) / bursts;
  for (let burst = 0; burst < bursts; burst++) {
    const start = random.next() * (endMs - burstMs);
    for (let one = 0; one < Math.round(perBurst * (burst + 1)) - Math.round(perBurst * burst); one++)
      times.push(start + random.next() * burstMs);
  }
  const all: Job[] = times.toSorted((a, b) => a - b).map((at) => ({ at, ms: duration() }));
  const outage = (provider: ProviderId, lengthMs: number): PoolWorld["outages"][number] => {
    const from = random.next() * (endMs - lengthMs);
    return { provider, from, to: from + lengthMs };
  };
  return {
    seed,
    jobs: all,
    offers: (["scaleway", "google", "aws"] as const).map((provider) => offerOf(provider, quantumMs)),
    bootMs: [2.5 * minuteMs, 5.5 * minuteMs],
    refusalMs: [5_000, 45_000],
    refusedShare: 0.15,
    outages: [outage("scaleway", 2 * hourMs), outage("google", hourMs)],
    lostHourly: 0,
  };
}

function offerOf(provider: ProviderId, quantumMs: number): Offer {
  return {
    provider,
    id: `${provider}/worker`,
    form: "machine",
    type: "worker",
    region: "eu",
    isInEu: true,
    cpus: 4,
    memoryMb: 16_000,
    diskMb: 80_000,
    isSpot: false,
    hourly: { micros: 600_000, currency: "USD" },
    quantumMs,
    minimumMs: 0,
    stock: "unknown",
    pricedAt: 0,
    priceSource: "simulated",
  };
}
