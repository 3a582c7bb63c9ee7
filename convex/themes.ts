/** What documents are about, for whoever looks for themes among them. Nobody but the appliance calls this. */
import { v } from "convex/values";
import { profilesPerPage, vProfile } from "./model/theme.ts";
import { systemQuery } from "./turn/guard.ts";

/** What is known of the documents that count, some at a time; `cursor` is where to go on, null at the end. */
export const profiles = systemQuery({
  args: { cursor: v.union(v.string(), v.null()) },
  returns: v.object({
    profiles: v.array(v.object({ documentId: v.id("documents"), ...vProfile.fields })),
    cursor: v.union(v.string(), v.null()),
  }),
  handler: async (ctx, { cursor }) => {
    const { page, isDone, continueCursor } = await ctx.db.query("profiles").paginate({ cursor, numItems: profilesPerPage });
    return {
      profiles: page.map(({ documentId, language, vector, terms }) => ({ documentId, language, vector, terms })),
      cursor: isDone ? null : continueCursor,
    };
  },
});
