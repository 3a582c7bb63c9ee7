import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";
import { materialOf } from "./material.ts";

/** Beyond this a machine of two cores would be at it for hours; the first documents are taken. */
const passagesMax = 50_000;

/**
 * Trains a model on what was remembered of the owner's use, and writes down what it came to; with it a better one is put in force where the
 * owner said so. Files of models that nobody needs any more go. Cut off, it goes on where it was; doing it again comes to the same.
 */
export const trainModel = defineFunction({
  kind: "models.train",
  needs: ["state", "vectors", "trainer", "languageModel"],
  run: async ({ args: { modelId }, signal, progress }, { state, vectors, trainer, languageModel }) => {
    if (!trainer) throw new NikaError("unavailable", "No model can be trained here.");
    const asked = await state.query(internal.models.get, { modelId });
    if (!asked) return { type: "done" };
    const { seed, isScrubbed } = asked;
    const { material, told } = await materialOf(asked, { state, vectors, languageModel }, { passagesMax, signal, progress });
    const result = told(await trainer.train({ modelId, seed, isScrubbed, ...material }, { signal, progress }));
    signal.throwIfAborted();
    await state.mutation(internal.models.finish, { modelId, result });
    await trainer.tidy(await state.query(internal.models.files, {}));
    return { type: "done", result: { type: "said", text: result.says } };
  },
});
