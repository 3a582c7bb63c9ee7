import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";
import { passagesOf, usesOf } from "./history.ts";

/** Beyond this a machine of two cores would be at it for hours; the first documents are taken. */
const passagesMax = 50_000;

/**
 * Trains a model on what was remembered of the owner's use, and writes down what it came to. It changes nothing else: a model that is
 * better still has to be put in force. Doing it again comes to the same.
 */
export const trainModel = defineFunction({
  kind: "models.train",
  needs: ["state", "vectors", "trainer"],
  run: async ({ args: { modelId }, signal, progress }, { state, vectors, trainer }) => {
    if (!trainer) throw new NikaError("unavailable", "No model can be trained here.");
    const asked = await state.query(internal.models.get, { modelId });
    if (!asked) return { type: "done" };
    const scopes = await state.query(internal.uses.allowed, {});
    const passages = await passagesOf({ state, vectors }, { passagesMax, signal });
    const uses = await usesOf(state, signal);
    const result = await trainer.train({ modelId, passages, uses, scopes, ...asked }, { signal, progress });
    signal.throwIfAborted();
    await state.mutation(internal.models.finish, { modelId, result });
    return { type: "done", result: { type: "said", text: result.says } };
  },
});
