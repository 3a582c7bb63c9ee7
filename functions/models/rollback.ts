import { isNikaError, NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";

/** A store that does not answer is asked again: searches go by the record, so nobody waits for this but readers from outside. */
const againMs = 5_000;

/** Has the vault's public name follow, after the record went back to the last model. Doing it again comes to the same. */
export const rollBackModel = defineFunction({
  kind: "models.rollback",
  needs: ["spaces"],
  run: async (_call, { spaces }) => {
    if (!spaces) throw new NikaError("unavailable", "The vault cannot be moved from here.");
    try {
      await spaces.point();
      return { type: "done" };
    } catch (error) {
      if (isNikaError(error) && error.code === "unavailable") return { type: "snoozed", delayMs: againMs };
      throw error;
    }
  },
});
