/** Which secrets the appliance keeps, by name, so that pages can show them live. Their values never come here. */
import { v } from "convex/values";
import { ownerQuery, systemMutation } from "./turn/guard.ts";

const vCredential = v.object({ name: v.string(), setAt: v.number() });
/** More secrets than a person can tell apart. */
const shownMax = 1_000;

/** By name. */
export const list = ownerQuery({
  args: {},
  returns: v.array(vCredential),
  handler: async (ctx) => {
    const rows = await ctx.db.query("credentials").withIndex("by_name").take(shownMax);
    return rows.map(({ name, setAt }) => ({ name, setAt }));
  },
});

/** Written at each start and after each change, with all there is. */
export const report = systemMutation({
  args: { credentials: v.array(vCredential) },
  returns: v.null(),
  handler: async (turn, { credentials }) => {
    const told = new Map(credentials.map((credential) => [credential.name, credential]));
    for (const row of await turn.db.query("credentials").take(shownMax)) {
      const credential = told.get(row.name);
      told.delete(row.name);
      if (!credential) await turn.db.delete(row._id);
      else if (credential.setAt !== row.setAt) await turn.db.patch(row._id, { setAt: credential.setAt });
    }
    for (const credential of told.values()) await turn.db.insert("credentials", credential);
    return null;
  },
});
