/** Work with a deadline takes machines that may be taken away only as long as there is time to lose one. */
import type { GpuAsk } from "../../convex/model/gpuJob.ts";
import { nextPlace } from "../../convex/model/spot.ts";
import type { Ranked } from "./offers.ts";

/** Boot and the loading of a checkpoint; and work that is gone with a machine where checkpoints are as far apart as is advised. */
const changeoverMs = 12 * 60_000;
const lostMs = 10 * 60_000;
/** Until it is looked at again when nothing is to be had. */
const lookMs = 60_000;

/** What is left of the work is not known here, so it is taken to be all of it. Where nothing but spot is to be had, that is better than nothing. */
export function heedDeadline(
  { need, deadlineAt, runMsMax }: Pick<GpuAsk, "need" | "deadlineAt" | "runMsMax">,
  ranked: Ranked,
  now: number,
): Ranked {
  if (deadlineAt === undefined || need.maySpot !== true) return ranked;
  const timeLeftMs = deadlineAt - now;
  const spot = ranked.choices.filter(({ offer }) => offer.isSpot);
  const move = nextPlace({
    workMs: runMsMax,
    deadlineMs: Math.max(timeLeftMs, runMsMax),
    workLeftMs: runMsMax,
    timeLeftMs,
    changeoverMs,
    lostMs,
    lookMs,
    place: { type: "nowhere" },
    zones: spot.map(({ offer }) => ({ zone: offer.zone ?? offer.region, isUp: true, lostHourly: 0 })),
  });
  const safe = ranked.choices.filter(({ offer }) => !offer.isSpot);
  if (move.to === "spot" || safe.length === 0) return ranked;
  return { choices: safe, says: `${move.says} ${ranked.says}` };
}
