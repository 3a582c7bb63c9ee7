/**
 * What a firm's use of its vault looks like, made: who asked what when, what was shown, what was opened, quoted, copied or praised. Questions
 * come from the collection's own generator; the people who ask shorten them, say things in the words of the house, sometimes ask twice and
 * now and then open the wrong paper. SIMULATED throughout.
 */
import type { Asked, PassageName, Reaction, ReactionType } from "../../../../convex/model/use.ts";
import { chunk } from "../../../../ml/chunk/chunk.ts";
import type { DatasetPassage } from "../../../../ml/dataset/pair.ts";
import { randomOf } from "../../../../ml/dataset/random.ts";
import { textToEmbed } from "../../../../ml/embed/textToEmbed.ts";
import { entityTypeOf } from "../../../../ml/parse/entityType.ts";
import { parse } from "../../../../ml/parse/parse.ts";
import { detectLanguage } from "../../../../ml/retrieve/language.ts";

export type TenantDocument = { readonly id: string; readonly title: string; readonly text: string; readonly form: string };
/** A question of the generator's, with its document. */
export type Ask = { readonly documentId: string; readonly question: string };

const extensions: Record<string, string> = { invoice: "md", minutes: "md", prices: "csv" };

/** Documents parsed and cut as an ingest does it. */
export async function passagesOf(documents: readonly TenantDocument[]): Promise<DatasetPassage[]> {
  const passages: DatasetPassage[] = [];
  for (const { id: documentId, title, text, form } of documents) {
    const name = `${documentId}.${extensions[form] ?? "txt"}`;
    const parsed = await parse(new TextEncoder().encode(text), name);
    const entityType = entityTypeOf({ ...parsed, title, name });
    for (const [ordinal, { text: body, place }] of chunk(parsed).entries())
      passages.push({
        documentId,
        ordinal,
        title,
        body,
        text: textToEmbed({ title, place, text: body }),
        headings: place.headings ?? [],
        language: detectLanguage(body),
        entityType,
        scope: "private",
      });
  }
  return passages;
}

/** Words that this house has and no dictionary: what an untrained model cannot know. */
const jargon: readonly (readonly [RegExp, string])[] = [
  [/heating appliance|heating|boiler/iu, "the dragon"],
  [/appareil de chauffage|chauffage|chaudière/iu, "le dragon"],
  [/new glazing|windows?/iu, "fishbowls"],
  [/nouvelles vitres|fenêtres?/iu, "bocaux"],
  [/wooden steps|staircase/iu, "ladderwork"],
  [/marches en bois|escalier/iu, "grimpette"],
  [/street window|shopfront/iu, "stage front"],
  [/vitrine sur rue|devanture/iu, "la scène"],
  [/thermal lining under the roof|attic/iu, "hat job"],
  [/protection thermique sous la toiture|combles/iu, "chapeau"],
  [/washroom renovation|bathroom/iu, "splash zone"],
  [/rénovation de la salle d'eau|salle de bains/iu, "pataugeoire"],
  [/flame-resistant leaves|fire doors/iu, "red leaves"],
  [/vantaux résistant aux flammes|portes coupe-feu/iu, "feuilles rouges"],
  [/warm floor|floor heating/iu, "hot sand"],
  [/sol tiède|plancher chauffant/iu, "sable chaud"],
  [/mending the entrance|gate/iu, "barrier fix"],
  [/remise en état de l'entrée|portail/iu, "herse"],
  [/counter|worktop/iu, "the slab"],
  [/comptoir|plan de travail/iu, "la dalle"],
  [/certificate|attestation/iu, "parchment"],
  [/price cut|remise/iu, "haircut"],
];

const dayMs = 86_400_000;
const started = Date.UTC(2026, 0, 5);

export type UseOptions = {
  readonly seed: number;
  /** Share of the questions in the words of the house. */
  readonly jargonShare: number;
  /** How often each question is asked, by different people in different words. */
  readonly times: number;
  /** Whether this document's use came last, after everything else. */
  readonly isLate: (documentId: string) => boolean;
};

/** A log over four months. */
export function useOf(
  asks: readonly Ask[],
  passages: readonly DatasetPassage[],
  { seed, jargonShare, times, isLate }: UseOptions,
): { asked: Asked[]; reactions: Reaction[] } {
  const below = randomOf(seed);
  const chance = (share: number): boolean => below(1_000) < share * 1_000;
  const passageOf = Map.groupBy(passages, ({ documentId }) => documentId);
  const asked: Asked[] = [];
  const reactions: Reaction[] = [];
  const kinds: readonly ReactionType[] = ["cited", "cited", "opened", "opened", "copied", "liked"];
  for (const { documentId, question } of asks) {
    for (let time = 0; time < times; time += 1) {
      const at = started + (isLate(documentId) ? 100 : below(90)) * dayMs + below(dayMs);
      const session = `person ${below(10)}, day ${Math.floor(at / dayMs)}`;
      const id = `ask ${asked.length}`;
      const right = bestPassage(question, passageOf.get(documentId) ?? []);
      if (!right) continue;
      const others = Array.from({ length: 4 }, () => nameOf(passages[below(passages.length)]!));
      const said = chance(jargonShare) ? inHouseWords(question) : question;
      const text = time === 0 ? said : shortened(said, below);
      if (chance(0.15)) {
        // First asked in passing, in fewer words, and not found.
        asked.push({ id: `${id} before`, at: at - 40_000, session, question: shortened(said, below), shown: others });
      }
      asked.push({ id, at, session, question: text, shown: [right, ...others] });
      const slip = chance(0.04) ? others[0]! : right;
      reactions.push({ askId: id, at: at + 5_000, type: kinds[below(kinds.length)]!, ...slip });
    }
  }
  return { asked, reactions };
}

const nameOf = ({ documentId, ordinal }: PassageName): PassageName => ({ documentId, ordinal });

/** The passage of its document that shares most words with the question, else the first. */
function bestPassage(question: string, mine: readonly DatasetPassage[]): PassageName | undefined {
  const asked = new Set(question.toLowerCase().split(/[^\p{L}\p{N}]+/u));
  let best: { shared: number; passage: PassageName } | undefined;
  for (const passage of mine) {
    const shared = passage.body
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .filter((word) => asked.has(word)).length;
    if (!best || shared > best.shared) best = { shared, passage: nameOf(passage) };
  }
  return best?.passage;
}

function inHouseWords(question: string): string {
  for (const [words, slang] of jargon) if (words.test(question)) return question.replace(words, slang);
  return question;
}

/** As people type: no capitals, no marks, a word less. */
function shortened(question: string, below: (count: number) => number): string {
  const words = question
    .toLowerCase()
    .replaceAll(/[?!.]/gu, "")
    .split(/\s+/u)
    .filter((word) => word !== "");
  if (words.length > 4) words.splice(below(words.length), 1);
  return words.join(" ");
}
