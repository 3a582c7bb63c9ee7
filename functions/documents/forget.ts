import { ownerTenant } from "../../convex/model/tenant.ts";
import { defineFunction } from "../define.ts";

/** Takes a document's passages out of the vault. Its row and its file go in the transaction that records this as done. */
export const forgetDocument = defineFunction({
  kind: "documents.forget",
  needs: ["vectors"],
  run: async ({ args }, { vectors }) => {
    await vectors.remove({ tenantId: ownerTenant, documentId: args.documentId });
    return { type: "done" };
  },
});
