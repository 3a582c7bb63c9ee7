import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";
import { rememberedOf } from "./history.ts";
import { writtenOf } from "./write.ts";

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
    const { seed, isScrubbed, until, writing } = asked;
    const remembered = await rememberedOf({ state, vectors }, { passagesMax, signal, until });
    const { written, stopped } = await writtenOf(remembered, {
      state,
      languageModel,
      writing,
      isScrubbed,
      until,
      signal,
      progress,
    });
    const trained = await trainer.train({ modelId, seed, isScrubbed, ...remembered, written }, { signal, progress });
    const result = stopped === undefined ? trained : { ...trained, says: `${trained.says} ${stopped}` };
    signal.throwIfAborted();
    await state.mutation(internal.models.finish, { modelId, result });
    await trainer.tidy(await state.query(internal.models.files, {}));
    return { type: "done", result: { type: "said", text: result.says } };
  },
});
