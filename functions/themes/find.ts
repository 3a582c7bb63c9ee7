import { setImmediate as breathe } from "node:timers/promises";
import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { domainDefault, filesPerCallMax } from "../../convex/model/document.ts";
import { findThemes, fromBytes, joinTheme, type Profile } from "../../ml/organize/themes.ts";
import { defineFunction } from "../define.ts";
import type { State } from "../ports/state.ts";

type Page = FunctionReturnType<typeof internal.themes.profiles>;

/** Themes are found among so many documents, evenly taken; the others join the nearest. More would hold up the machine for nothing. */
const sampleMax = 1_000;

/** Finds what the documents are about and files each under its theme. Doing it again files the same way. */
export const findDocumentThemes = defineFunction({
  kind: "themes.find",
  needs: ["state"],
  run: async ({ signal, progress }, { state }) => {
    const profiles: Profile[] = [];
    for await (const profile of all(state)) profiles.push(profile);
    signal.throwIfAborted();
    const every = Math.max(1, Math.ceil(profiles.length / sampleMax));
    const { themes, of } = findThemes(profiles.filter((_, at) => at % every === 0));
    const labels = new Map(themes.map(({ id, label }) => [id, label]));
    for (let from = 0; from < profiles.length; from += filesPerCallMax) {
      const some = profiles.slice(from, from + filesPerCallMax).map((profile) => ({
        documentId: profile.id as Id<"documents">,
        domain: labels.get(of.get(profile.id) ?? "") ?? joinTheme(themes, profile)?.label ?? domainDefault,
      }));
      signal.throwIfAborted();
      await state.mutation(internal.documents.putThemes, { themes: some });
      progress(Math.min(from + filesPerCallMax, profiles.length), profiles.length);
      await breathe();
    }
    return { type: "done" };
  },
});

async function* all(state: State): AsyncGenerator<Profile> {
  let cursor: string | null = null;
  do {
    const page: Page = await state.query(internal.themes.profiles, { cursor });
    for (const { documentId, language, vector, terms } of page.profiles)
      yield { id: documentId, language, vector: fromBytes(new Uint8Array(vector)), terms };
    cursor = page.cursor;
  } while (cursor !== null);
}
