import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { ownerTenant } from "../../convex/model/tenant.ts";
import type { Use } from "../../convex/model/use.ts";
import type { DatasetPassage } from "../../ml/dataset/pair.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { defineFunction } from "../define.ts";
import type { State } from "../ports/state.ts";
import type { Vectors } from "../ports/vectors.ts";

type Uses = FunctionReturnType<typeof internal.uses.page>;
type Profiles = FunctionReturnType<typeof internal.themes.profiles>;

const passagesPerLook = 200;
const usesPerPage = 200;
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
    const passages = await passagesOf(state, vectors, signal);
    const uses = await usesOf(state, signal);
    const result = await trainer.train({ modelId, passages, uses, scopes, ...asked }, { signal, progress });
    signal.throwIfAborted();
    await state.mutation(internal.models.finish, { modelId, result });
    return { type: "done", result: { type: "said", text: result.says } };
  },
});

async function usesOf(state: State, signal: AbortSignal): Promise<Use[]> {
  const all: Use[] = [];
  let cursor: string | null = null;
  do {
    signal.throwIfAborted();
    const page: Uses = await state.query(internal.uses.page, { paginationOpts: { cursor, numItems: usesPerPage } });
    all.push(...page.uses);
    cursor = page.cursor;
  } while (cursor !== null);
  return all;
}

async function passagesOf(state: State, vectors: Vectors, signal: AbortSignal): Promise<DatasetPassage[]> {
  const all: DatasetPassage[] = [];
  let cursor: string | null = null;
  do {
    const page: Profiles = await state.query(internal.themes.profiles, { cursor });
    for (const { documentId } of page.profiles) {
      for (let from = 0; all.length < passagesMax; from += passagesPerLook) {
        signal.throwIfAborted();
        const to = from + passagesPerLook - 1;
        const some = await vectors.passages({ tenantId: ownerTenant, documentId, from, to }, signal);
        for (const { ordinal, title, text, place, language, entityType = "document", scope = "private" } of some)
          all.push({
            documentId,
            ordinal,
            title,
            body: text,
            text: textToEmbed({ title, place, text }),
            headings: place.headings ?? [],
            language,
            entityType,
            scope,
          });
        if (some.length < passagesPerLook) break;
      }
    }
    cursor = page.cursor;
  } while (cursor !== null && all.length < passagesMax);
  return all;
}
