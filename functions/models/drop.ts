import { internal } from "../../convex/_generated/api.js";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";

const againMs = 60_000;

/** Drops a space that nobody asks any more. */
export const dropModel = defineFunction({
  kind: "models.drop",
  needs: ["state", "spaces"],
  run: async ({ args: { generationId } }, { state, spaces }) => {
    if (!spaces) throw new NikaError("unavailable", "The vault cannot be moved from here.");
    const collection = await state.query(internal.generations.toDrop, { generationId });
    if (collection === null) return { type: "done" };
    try {
      await spaces.drop(collection);
    } catch (error) {
      if (isNikaError(error) && error.code === "unavailable") return { type: "snoozed", delayMs: againMs };
      throw error;
    }
    await state.mutation(internal.generations.dropped, { generationId });
    return { type: "done" };
  },
});
