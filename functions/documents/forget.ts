import { ownerTenant } from "../../convex/model/tenant.ts";
import { defineFunction } from "../define.ts";

/** Takes a document's passages and pictures out of the vault. Its row and its file go in the transaction that records this as done. */
export const forgetDocument = defineFunction({
  kind: "documents.forget",
  needs: ["vectors", "pictures"],
  run: async ({ args }, { vectors, pictures }) => {
    const document = { tenantId: ownerTenant, documentId: args.documentId };
    await vectors.remove(document);
    await pictures?.remove(document);
    return { type: "done" };
  },
});
