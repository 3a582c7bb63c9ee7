import { internal } from "../../convex/_generated/api.js";
import { isNikaError } from "../../convex/model/error.ts";
import { ownerTenant } from "../../convex/model/tenant.ts";
import { defineFunction } from "../define.ts";

const againMs = 5_000;

/**
 * Carries out the owner's word on what waits in a batch: first on the passages and pictures, then on the documents. Cut off and done
 * again it comes to the same.
 */
export const decideBatch = defineFunction({
  kind: "batches.decide",
  needs: ["state", "vectors", "pictures"],
  run: async ({ args: { batchId }, signal }, { state, vectors, pictures }) => {
    const decision = await state.query(internal.batches.decision, { batchId });
    if (!decision) return { type: "done" };
    const { isAccepted, only } = decision;
    const group = { tenantId: ownerTenant, batchId, ...(only && { only }) };
    try {
      await (isAccepted ? vectors.release(group) : vectors.discard(group));
      await (isAccepted ? pictures?.release(group) : pictures?.discard(group));
    } catch (error) {
      if (isNikaError(error) && error.code === "unavailable") return { type: "snoozed", delayMs: againMs };
      throw error;
    }
    let cursor: string | null = null;
    do {
      signal.throwIfAborted();
      cursor = await state.mutation(internal.batches.decideSome, { batchId, cursor });
    } while (cursor !== null);
    return { type: "done" };
  },
});
