/**
 * Where work with a deadline runs next: on a machine that may be taken away, on one that may not, or nowhere for a while. Slack, the time
 * left beyond the work left, is spent evenly over the work; the last of it is never spent, so that a deadline that could be kept is kept.
 * Times in ms. No I/O and no clock. The idea of an even spending is that of "Can't Be Late" (NSDI 2024).
 */

export type SpotZone = {
  readonly zone: string;
  /** Whether one could be had now, as far as is known. */
  readonly isUp: boolean;
  /** Chance of losing it within an hour, as learned. */
  readonly lostHourly: number;
};

export type SpotView = {
  /** As it was at the beginning. */
  readonly workMs: number;
  readonly deadlineMs: number;
  /** Still to be done, and still to go until the deadline. */
  readonly workLeftMs: number;
  readonly timeLeftMs: number;
  /** From deciding to work: boot, and the loading of a checkpoint. */
  readonly changeoverMs: number;
  /** Work that is gone when a machine is taken away. */
  readonly lostMs: number;
  /** Until the next look. */
  readonly lookMs: number;
  readonly place: { readonly type: "nowhere" | "onDemand" } | { readonly type: "spot"; readonly zone: string };
  readonly zones: readonly SpotZone[];
};

export type SpotMove =
  | { readonly to: "stay" | "wait" | "onDemand"; readonly says: string }
  | { readonly to: "spot"; readonly zone: string; readonly says: string };

/** A machine that is had for less than this many changeovers is not worth leaving a safe one for. */
const worthChangeovers = 4;

export function nextPlace(view: SpotView): SpotMove {
  const { place } = view;
  const slackMs = view.timeLeftMs - view.workLeftMs;
  // To be on a machine that may go, there must be time to lose it, and to begin anew on one that stays.
  const netMs = view.lostMs + 2 * view.changeoverMs + view.lookMs;
  const best = bestZone(view);
  // While it works the slack stays as it is; leaving would only spend some.
  if (place.type === "spot") return { to: "stay", says: "It has a machine, and time to lose it." };
  if (place.type === "onDemand") {
    if (!best || !isWorth(best, view)) return { to: "stay", says: "No spot machine is worth the change." };
    // On a machine that may go, half of an even spending is kept, so that it is not back at once.
    const isRisky = slackMs - view.changeoverMs - netMs < evenSlack(view) / 2;
    if (isRisky) return { to: "stay", says: "There is no time to lose it again." };
    return { to: "spot", zone: best.zone, says: `It has time to lose it again, so it moves to a spot machine in ${best.zone}.` };
  }
  if (best && slackMs >= netMs + view.changeoverMs)
    return { to: "spot", zone: best.zone, says: `A spot machine in ${best.zone}, the one most likely to stay.` };
  if (slackMs <= netMs)
    return { to: "onDemand", says: "The time that is left is just enough, so it runs where nobody takes it away." };
  if (slackMs <= evenSlack(view)) return { to: "onDemand", says: "Behind its line, and no spot machine is to be had." };
  return { to: "wait", says: "Ahead of its line, so it waits for a spot machine." };
}

/** Slack that should be left, were it spent evenly over the work. */
const evenSlack = ({ workMs, deadlineMs, workLeftMs }: SpotView): number => (deadlineMs - workMs) * (workLeftMs / workMs);

function bestZone({ zones }: SpotView): SpotZone | undefined {
  return zones
    .filter(({ isUp }) => isUp)
    .toSorted((a, b) => a.lostHourly - b.lostHourly || (a.zone < b.zone ? -1 : 1))
    .at(0);
}

const isWorth = ({ lostHourly }: SpotZone, { changeoverMs, workLeftMs }: SpotView): boolean =>
  Math.min(3_600_000 / Math.max(lostHourly, 1e-6), workLeftMs) >= worthChangeovers * changeoverMs;
