/** How a generation's row moves, in the transactions that need it. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { NikaError } from "../model/error.ts";
import { dropAfterMs, keptAfterSwitchMs, pastKeptMax, stalledMs, wantedOf, type GenerationState } from "../model/generation.ts";
import { isOpen } from "../model/job.ts";
import { fusionDefault } from "../model/model.ts";
import { enqueue } from "./enqueue.ts";
import type { Turn } from "./guard.ts";

export const movingStates: readonly GenerationState[] = ["planned", "copying", "checking"];

export const generationIn = (ctx: Pick<QueryCtx, "db">, state: GenerationState): Promise<Doc<"generations"> | null> =>
  ctx.db
    .query("generations")
    .withIndex("by_state", (q) => q.eq("state", state))
    .order("desc")
    .first();

/** The one on its way to being in force. */
export async function movingOf(ctx: Pick<QueryCtx, "db">): Promise<Doc<"generations"> | null> {
  for (const state of movingStates) {
    const row = await generationIn(ctx, state);
    if (row) return row;
  }
  return null;
}

export async function isWorkedOn(ctx: Pick<QueryCtx, "db">, { jobId }: Doc<"generations">): Promise<boolean> {
  const job = jobId && (await ctx.db.get(jobId));
  return job ? isOpen(job.state) : false;
}

export type Wish = { readonly modelId: string; readonly by: string; readonly reason?: string | undefined };

/**
 * Begins a move to a model, or takes up again one to the same that nobody works on. Fails with `missing`, with `invalid` for a model that is
 * not better, and with `conflict` when it is in force, another move is under way, or its verdict is of another time and there is no reason.
 */
export async function begin(turn: Turn, { modelId: wanted, by, reason }: Wish): Promise<Id<"generations">> {
  const live = await generationIn(turn, "live");
  const fusion = await fusionOf(turn, { wanted, live, reason });
  const kept = await generationIn(turn, "kept");
  if (live && wantedOf(live.embedderId ?? "") === wanted) throw new NikaError("conflict", "This model is in force already.");
  if (kept && wantedOf(kept.embedderId ?? "") === wanted)
    throw new NikaError("conflict", "This model was in force before and is kept; `nika model rollback` goes back to it at once.");
  const moving = await movingOf(turn);
  if (moving) {
    if (await isWorkedOn(turn, moving))
      throw new NikaError("conflict", "The vault is being moved to another model; wait, or give up with `nika model rollback`.");
    if (moving.wanted === wanted) {
      await work(turn, moving._id);
      return moving._id;
    }
    await leave(turn, moving, "Given up for another one.");
  }
  if (kept) await leave(turn, kept);
  const last = await turn.db.query("generations").order("desc").first();
  const number = (last?.number ?? 0) + 1;
  const generationId = await turn.db.insert("generations", {
    number,
    wanted,
    collection: collectionOf(number, turn.now),
    fusion,
    state: "planned",
    by,
    ...(reason !== undefined && { reason }),
    at: turn.now,
  });
  await work(turn, generationId);
  return generationId;
}

/** Never one that is there: of a store from before, or of an earlier life of this record. */
const collectionOf = (number: number, now: number): string =>
  `nika_vault__g${String(number).padStart(4, "0")}_${now.toString(36)}`;

async function work(turn: Turn, generationId: Id<"generations">): Promise<void> {
  const jobId = await enqueue(turn, {
    kind: "models.deploy",
    args: { generationId },
    label: "the vault to another model",
    uniqueKey: generationId,
  });
  await turn.db.patch(generationId, { jobId, problem: undefined });
}

type Judged = {
  readonly wanted: string;
  readonly live: Doc<"generations"> | null;
  readonly reason: string | undefined;
};

/** How its ranking is joined with the one by words. Only a model that was judged better may be put in force. */
async function fusionOf(turn: Turn, { wanted, live, reason }: Judged): Promise<Doc<"generations">["fusion"]> {
  if (wanted === "baseline" || wanted === "bge") return fusionDefault;
  const id = turn.db.normalizeId("models", wanted);
  const model = id && (await turn.db.get(id));
  if (!model) throw new NikaError("missing", "There is no such model; `nika model list` shows those there are.");
  const { result } = model;
  if (!result) throw new NikaError("conflict", "This model is not trained yet.");
  if (result.verdict !== "better" || !result.trained)
    throw new NikaError("invalid", `This model is not put in force. ${result.says}`);
  if (live?.embedderId !== undefined && result.against !== live.embedderId && !reason?.trim())
    throw new NikaError(
      "conflict",
      `This model was compared with ${result.against}, and ${live.embedderId} is in force now; train again, or say why with --anyway.`,
    );
  return result.trained.fusion;
}

/** Nobody asks it any more: it is dropped once those who do so now are answered. */
export async function leave(turn: Turn, row: Doc<"generations">, problem?: string): Promise<void> {
  await turn.db.patch(row._id, { state: "leaving", endedAt: turn.now, ...(problem !== undefined && { problem }) });
  await enqueue(turn, {
    kind: "models.drop",
    args: { generationId: row._id },
    label: "a model's vectors that are not needed any more",
    runAt: turn.now + (row.state === "planned" ? 0 : dropAfterMs),
    uniqueKey: row._id,
  });
}

/** What is kept long enough, moves that nobody works on, and history beyond the newest. */
export async function sweepGenerations(turn: Turn): Promise<boolean> {
  const kept = await generationIn(turn, "kept");
  const live = await generationIn(turn, "live");
  if (kept && (live?.liveAt ?? 0) < turn.now - keptAfterSwitchMs) await leave(turn, kept);
  const moving = await movingOf(turn);
  if (moving && moving.at < turn.now - stalledMs && !(await isWorkedOn(turn, moving)))
    await leave(turn, moving, "It was begun and not finished.");
  const leaving = await turn.db
    .query("generations")
    .withIndex("by_state", (q) => q.eq("state", "leaving"))
    .take(pastKeptMax);
  // The job that was to drop it may have failed for good while the store was away.
  for (const row of leaving) if ((row.endedAt ?? 0) < turn.now - stalledMs) await leave(turn, row);
  const past = await turn.db
    .query("generations")
    .withIndex("by_state", (q) => q.eq("state", "gone"))
    .order("desc")
    .collect();
  for (const { _id } of past.slice(pastKeptMax)) await turn.db.delete(_id);
  return false;
}
