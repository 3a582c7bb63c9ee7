/** Documents in almost the same words, found by what their sketches have in common. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { bandsMax, likeness, likenessMin, sketchMax, type Wording } from "../model/sketch.ts";
import type { Turn } from "./guard.ts";

/** Looked at in each band: a letterhead sent a thousand times must not make its thousandth copy slow to look at. */
const candidatesPerBandMax = 20;

/** Most alike first, at most `limit`. Those that gave way to a newer version are left out. */
export async function findAlike(
  ctx: QueryCtx,
  document: Doc<"documents">,
  limit: number,
): Promise<{ id: Id<"documents">; name: string; share: number }[]> {
  const own = await sketchOf(ctx, document._id);
  if (!own) return [];
  const candidates = new Set<Id<"documents">>();
  const bands = await ctx.db
    .query("bands")
    .withIndex("by_documentId", (q) => q.eq("documentId", document._id))
    .take(bandsMax);
  for (const { band } of bands) {
    const alike = ctx.db.query("bands").withIndex("by_band", (q) => q.eq("band", band));
    for (const { documentId } of await alike.take(candidatesPerBandMax)) candidates.add(documentId);
  }
  candidates.delete(document._id);
  const found = [];
  for (const id of candidates) {
    const share = likeness(own, (await sketchOf(ctx, id)) ?? []);
    const other = share >= likenessMin ? await ctx.db.get(id) : null;
    const isCurrent = other && !other.isOld && (other.state === "ready" || other.state === "staged");
    if (isCurrent) found.push({ id, name: other.name, share });
  }
  return found.toSorted((one, other) => other.share - one.share).slice(0, limit);
}

async function sketchOf(ctx: QueryCtx, documentId: Id<"documents">): Promise<readonly number[] | undefined> {
  const row = await ctx.db
    .query("sketches")
    .withIndex("by_documentId", (q) => q.eq("documentId", documentId))
    .unique();
  return row?.sketch;
}

/** Keeps a document's wording in the place of what was known of it. */
export async function keepWording(turn: Turn, documentId: Id<"documents">, { sketch, bands }: Wording): Promise<void> {
  const ofDocument = <T extends "sketches" | "bands">(table: T) =>
    turn.db
      .query(table)
      .withIndex("by_documentId", (q) => q.eq("documentId", documentId as never))
      .take(bandsMax);
  for (const { _id } of [...(await ofDocument("sketches")), ...(await ofDocument("bands"))]) await turn.db.delete(_id);
  await turn.db.insert("sketches", { documentId, sketch: sketch.slice(0, sketchMax) });
  for (const band of bands.slice(0, bandsMax)) await turn.db.insert("bands", { documentId, band });
}
