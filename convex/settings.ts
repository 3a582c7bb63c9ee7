/** What the owner chose. */
import { v } from "convex/values";
import { defaultSettings, vSettings } from "./model/setting.ts";
import { ownerMutation, ownerQuery } from "./turn/guard.ts";

export const get = ownerQuery({
  args: {},
  returns: vSettings,
  handler: async (ctx) => {
    const row = await ctx.db.query("settings").first();
    if (!row) return defaultSettings;
    const { language, theme, review } = row;
    return { language, theme, ...(review !== undefined && { review }) };
  },
});

/** Changes what is given and leaves the rest. */
export const set = ownerMutation({
  args: {
    language: v.optional(vSettings.fields.language),
    theme: v.optional(vSettings.fields.theme),
    review: vSettings.fields.review,
  },
  returns: v.null(),
  handler: async (turn, changes) => {
    const row = await turn.db.query("settings").first();
    if (row) await turn.db.patch(row._id, changes);
    else await turn.db.insert("settings", { ...defaultSettings, ...changes });
    return null;
  },
});
