import { internal } from "../../convex/_generated/api.js";
import { defineFunction } from "../define.ts";

/** Writes what the owner said of documents to their passages and pictures. Nothing is read or embedded again. */
export const labelDocuments = defineFunction({
  kind: "documents.label",
  needs: ["state", "vectors", "pictures"],
  run: async ({ args, signal, progress }, { state, vectors, pictures }) => {
    const documents = await state.query(internal.documents.filed, { documentIds: args.documentIds });
    for (const [at, { documentId, tenantId, labels }] of documents.entries()) {
      signal.throwIfAborted();
      await vectors.label({ tenantId, documentId }, labels);
      await pictures?.label({ tenantId, documentId }, labels);
      progress(at + 1, documents.length);
    }
    return { type: "done" };
  },
});
