import { isNikaError } from "../../convex/model/error.ts";
import { ownerTenant } from "../../convex/model/tenant.ts";
import { defineFunction } from "../define.ts";

/** A store that does not answer is asked again later, however long it takes: until then old passages may still be found. */
const againMs = 30_000;

/** Takes away what an ingest left that did not end well, or what an older version said. The document stays. */
export const clearDocument = defineFunction({
  kind: "documents.clear",
  needs: ["vectors", "pictures"],
  run: async ({ args }, { vectors, pictures }) => {
    const document = { tenantId: ownerTenant, documentId: args.documentId };
    try {
      await vectors.remove(document);
      await pictures?.remove(document);
      return { type: "done" };
    } catch (error) {
      if (isNikaError(error) && error.code === "unavailable") return { type: "snoozed", delayMs: againMs };
      throw error;
    }
  },
});
