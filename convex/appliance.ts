/** What is running, as it says itself. */
import { v } from "convex/values";
import { vReadingRoom, vReport, vStatus } from "./model/appliance.ts";
import { ownerQuery, systemMutation } from "./turn/guard.ts";
import { readTally } from "./turn/tally.ts";

/** Null until the appliance has started for the first time. */
export const status = ownerQuery({
  args: {},
  returns: v.union(vStatus, v.null()),
  handler: async (ctx) => {
    const row = await ctx.db.query("appliance").first();
    if (!row) return null;
    const { name, version, mode, embedder, startedAt } = row;
    const count = await readTally(ctx.db, "documents");
    return { name, version, mode, embedder, startedAt, passages: count("passages") };
  },
});

/** Written once at each start. */
export const report = systemMutation({
  args: vReport.fields,
  returns: v.null(),
  handler: async (turn, about) => {
    const row = await turn.db.query("appliance").first();
    if (row) await turn.db.replace(row._id, about);
    else await turn.db.insert("appliance", about);
    return null;
  },
});

/** Searches go by another embedder from now on. */
export const follow = systemMutation({
  args: vReport.fields.embedder.fields,
  returns: v.null(),
  handler: async (turn, embedder) => {
    const row = await turn.db.query("appliance").first();
    if (row) await turn.db.patch(row._id, { embedder });
    return null;
  },
});

/** How many files are read at a time, and what keeps it from more; null until the appliance has looked. */
export const readingRoom = ownerQuery({
  args: {},
  returns: v.union(vReadingRoom, v.null()),
  handler: async (ctx) => {
    const row = await ctx.db.query("readingRooms").first();
    if (!row) return null;
    const { slots, slotsMax, because, pressure } = row;
    return { slots, slotsMax, ...(because && { because }), ...(pressure && { pressure }) };
  },
});

/** Written when it changes, and so far as people would notice: an idle machine writes nothing. */
export const reportRoom = systemMutation({
  args: vReadingRoom.fields,
  returns: v.null(),
  handler: async (turn, room) => {
    const row = await turn.db.query("readingRooms").first();
    if (row) await turn.db.replace(row._id, room);
    else await turn.db.insert("readingRooms", room);
    return null;
  },
});
