/** Less is let run where all together costs more an hour than it may: the cap was lowered, or what was rented turned out dearer. */
import type { Doc } from "../_generated/dataModel.js";
import { ownerName, readSettings, totalOf } from "./budget.ts";
import type { Turn } from "./guard.ts";
import { move } from "./lease.ts";

type Machine = Doc<"machines">;

/** A few a tick; the rest follows in the next. */
const shedMax = 10;
const readMax = 200;
/** What was told to stop has saved what it wants to keep by then. */
const savedMs = 3 * 60_000;

/**
 * The least important first: what still boots, then workers, then what agents asked for, then the owner's; of those the newest. What runs is told
 * to stop, saves a checkpoint, and is ended; what it ran is `budgetStopped`.
 */
export async function shed(turn: Turn): Promise<void> {
  const draining = await inState(turn, "draining");
  const isSaved = ({ drainedAt }: Machine): boolean => drainedAt !== undefined && drainedAt <= turn.now - savedMs;
  for (const machine of draining.filter((one) => isSaved(one)).slice(0, shedMax))
    await move(turn, machine, { type: "end", why: "budget" });
  const { caps } = await readSettings(turn);
  const { hourly } = await totalOf(turn, "live");
  if (hourly <= caps.hourly) return;
  // What is on its way out is as good as gone, or nothing more can be done about it.
  const going = [...draining, ...(await inState(turn, "ending")), ...(await inState(turn, "verifying"))];
  let over = hourly - caps.hourly - going.reduce((sum, { counted }) => sum + counted.hourly, 0);
  const running = [...(await inState(turn, "booting")), ...(await inState(turn, "ready")), ...(await inState(turn, "busy"))];
  const paid = running.filter(({ counted }) => counted.hourly > 0);
  const leastFirst = paid.toSorted((a, b) => weight(a) - weight(b) || b.createdAt - a.createdAt);
  for (const machine of leastFirst.slice(0, shedMax)) {
    if (over <= 0) return;
    over -= machine.counted.hourly;
    if (machine.life.state === "booting") await move(turn, machine, { type: "end", why: "budget" });
    else {
      await turn.db.patch(machine._id, { drainedAt: turn.now });
      await move(turn, { ...machine, drainedAt: turn.now }, { type: "drain" });
    }
  }
}

const inState = (turn: Turn, state: "booting" | "ready" | "busy" | "draining" | "ending" | "verifying"): Promise<Machine[]> =>
  turn.db
    .query("machines")
    .withIndex("by_state", (q) => q.eq("life.state", state))
    .order("desc")
    .take(readMax);

function weight({ life, owner, by }: Machine): number {
  if (life.state === "booting") return 0;
  if (owner.type !== "gpuJob") return 1;
  return by === ownerName ? 3 : 2;
}
