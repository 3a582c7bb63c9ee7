import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";
import { rememberedOf } from "./history.ts";

/** Each is embedded by both: of more, a machine of two cores would be at it for hours. */
const passagesMax = 20_000;

/** Puts models beside each other on today's questions. Changes nothing but the record of it. */
export const compareModels = defineFunction({
  kind: "models.compare",
  needs: ["state", "vectors", "trainer"],
  run: async ({ args: { comparisonId }, signal, progress }, { state, vectors, trainer }) => {
    if (!trainer) throw new NikaError("unavailable", "No model can be judged here.");
    const asked = await state.query(internal.comparisons.get, { comparisonId });
    if (!asked) return { type: "done" };
    const remembered = await rememberedOf({ state, vectors }, { passagesMax, signal });
    const result = await trainer.compare({ ...remembered, ...asked }, { signal, progress });
    signal.throwIfAborted();
    await state.mutation(internal.comparisons.finish, { comparisonId, result });
    return { type: "done" };
  },
});
