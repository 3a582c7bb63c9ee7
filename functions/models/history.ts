/** What a model is made of: what was remembered of the owner's use, and the vault's passages. */
import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import { ownerTenant } from "../../convex/model/tenant.ts";
import type { Use } from "../../convex/model/use.ts";
import type { DatasetPassage } from "../../ml/dataset/pair.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import type { State } from "../ports/state.ts";
import type { Remembered } from "../ports/trainer.ts";
import type { Vectors } from "../ports/vectors.ts";

type Uses = FunctionReturnType<typeof internal.uses.page>;
type Profiles = FunctionReturnType<typeof internal.themes.profiles>;

const passagesPerLook = 200;
const usesPerPage = 200;

type Looking = { readonly passagesMax: number; readonly signal: AbortSignal; readonly until?: number };

/** All that a model is made of and judged by: of use, what happened until `until`. */
export async function rememberedOf(
  { state, vectors }: { readonly state: State; readonly vectors: Vectors },
  { passagesMax, signal, until = Infinity }: Looking,
): Promise<Remembered> {
  const scopes = await state.query(internal.uses.allowed, {});
  const pinned = await state.query(internal.comparisons.pinned, {});
  const passages = await passagesOf({ state, vectors }, { passagesMax, signal });
  const uses = await usesOf(state, signal);
  return {
    scopes,
    pinned,
    passages,
    uses: uses
      .filter(({ at }) => at <= until)
      .map((use) => ({ ...use, reactions: use.reactions.filter(({ at }) => at <= until) })),
  };
}

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

/** At most `passagesMax`, of the first documents. */
async function passagesOf(
  { state, vectors }: { readonly state: State; readonly vectors: Vectors },
  { passagesMax, signal }: { readonly passagesMax: number; readonly signal: AbortSignal },
): Promise<DatasetPassage[]> {
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
