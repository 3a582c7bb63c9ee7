import {
  passagesPerAnswerMax,
  questionCharsMax,
  type CitedPicture,
  type PictureAnswer,
  type SearchFilter,
} from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { placeLabel } from "../../convex/model/place.ts";
import { detectLanguage } from "../../ml/retrieve/language.ts";
import { rerank } from "../../ml/retrieve/rerank.ts";
import { queryTerms } from "../../ml/retrieve/terms.ts";
import { defineCall, type Ports } from "../define.ts";
import type { PictureBranch, PictureHit } from "../ports/pictures.ts";
import type { VisualEmbedder } from "../ports/visual.ts";

export type PictureSearch = {
  readonly tenantId: string;
  readonly limit: number;
  readonly filter?: SearchFilter | undefined;
  /** Says of each picture which rankings had it. */
  readonly explain?: boolean | undefined;
} & (
  | { readonly question: string }
  /** Pictures like this one; `words` are those that belong to it, if any. */
  | { readonly like: { readonly bytes: Uint8Array; readonly words: string } }
);

export type PicturePorts = Pick<Ports, "embedder" | "visual" | "pictures">;

const deadlineMs = 30_000; // A service elsewhere may take seconds.

/** Looked at more closely than the search does, to choose from. */
const candidatesMin = 30;
/**
 * Words count twice, as among passages. A model that sees pictures counts as much; the descriptor only repeats the words, so it counts
 * for little beside a question, and alone beside a picture.
 */
const weights = { lexical: 2, caption: 1, seeing: 2, descriptor: 0.5 };

/** The pictures that bear on a question, or look like another, best first. Fails with `invalid`. */
export const searchPictures = defineCall({
  name: "vault.pictures",
  needs: ["embedder", "visual", "pictures"],
  deadlineMs,
  run: (search: PictureSearch, ports, signal): Promise<PictureAnswer> => findPictures(search, ports, signal),
});

export async function findPictures(search: PictureSearch, ports: PicturePorts, signal: AbortSignal): Promise<PictureAnswer> {
  const startedAt = performance.now();
  const { visual, pictures } = ports;
  if (!visual || !pictures) throw new NikaError("unavailable", "Pictures are not looked for here.");
  const { limit, filter, tenantId } = search;
  if (!Number.isInteger(limit) || limit < 1 || limit > passagesPerAnswerMax)
    throw new NikaError("invalid", `The limit must be from 1 to ${passagesPerAnswerMax}.`);
  const question = "question" in search ? checked(search.question) : undefined;
  const isInForce = (await pictures.spaces()).visualId === visual.id;
  const branches =
    "like" in search
      ? await likeBranches(search.like, visual, signal)
      : await questionBranches(question ?? "", { ports, isInForce, signal });
  if ("like" in search && !isInForce)
    throw new NikaError(
      "conflict",
      "The pictures are stored for another model; pictures like one can be found again once they are embedded anew.",
    );
  const found = await pictures.search(
    { tenantId, branches, limit: Math.max(limit + 10, candidatesMin), ...(filter && { filter }) },
    signal,
  );
  const language = detectLanguage(question ?? "") === "fr" ? "fr" : "en";
  const ranked = question === undefined ? byRank(found) : byWords(found, question, visual.seesMeaning && isInForce);
  return {
    ...(question !== undefined && { question }),
    pictures: ranked.slice(0, limit).map((hit) => cite(hit, language, search.explain === true)),
    sight: { id: visual.id, label: visual.label, seesMeaning: visual.seesMeaning, isInForce },
    tookMs: Math.round((performance.now() - startedAt) * 10) / 10,
  };
}

function checked(raw: string): string {
  const question = raw.trim();
  if (question === "") throw new NikaError("invalid", "Say what the picture shows, or what stands in it.");
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  return question;
}

async function likeBranches(
  like: { readonly bytes: Uint8Array; readonly words: string },
  visual: VisualEmbedder,
  signal: AbortSignal,
): Promise<PictureBranch[]> {
  const vector = await visual.like(like, signal);
  if (!vector) throw new NikaError("unreadable", "This picture cannot be read; try png, jpeg or webp.");
  return [{ name: "looks", weight: 1, visual: vector }];
}

type Asking = { readonly ports: PicturePorts; readonly isInForce: boolean; readonly signal: AbortSignal };

async function questionBranches(
  question: string,
  { ports: { embedder, visual }, isInForce, signal }: Asking,
): Promise<PictureBranch[]> {
  const [told, seen] = await Promise.all([
    embedder.query(question, signal),
    // Without what it shows, a picture is still found by its words.
    isInForce && visual
      ? visual.text(question, signal).catch((error: unknown) => (signal.aborted ? Promise.reject(error as Error) : undefined))
      : undefined,
  ]);
  return [
    { name: "words", weight: weights.lexical, terms: queryTerms(question) },
    { name: "caption", weight: weights.caption, caption: told },
    ...(seen ? [{ name: "picture", weight: visual?.seesMeaning ? weights.seeing : weights.descriptor, visual: seen }] : []),
  ];
}

/** Fused score beside the best one's. */
function byRank(found: readonly PictureHit[]): readonly PictureHit[] {
  const best = found[0]?.score ?? 1;
  return found.map((hit) => ({ ...hit, score: hit.score / best }));
}

/**
 * How much of the question stands in a picture's words decides among those that were found. Only a model that sees may bring one that
 * shares none.
 */
function byWords(found: readonly PictureHit[], question: string, seesMeaning: boolean): readonly PictureHit[] {
  const candidates = found.map((hit) => {
    const { title, headings = [], caption, text } = hit;
    return { hit, title: [title, ...headings].join(" "), text: [caption, text].filter(Boolean).join(".\n"), score: hit.score };
  });
  return rerank(candidates, question, { needsWords: !seesMeaning }).map(({ hit, score }) => ({ ...hit, score }));
}

function cite(hit: PictureHit, language: "en" | "fr", explain: boolean): CitedPicture {
  const { pictureId, documentId, documentName, title, ordinal, type, width, height, score } = hit;
  const { page, box, headings, caption, text, passage, branches } = hit;
  return {
    pictureId,
    documentId,
    documentName,
    title,
    ordinal,
    type,
    width,
    height,
    ...(page !== undefined && { page }),
    ...(box && { box }),
    ...(caption !== undefined && { caption }),
    ...(text !== undefined && { text }),
    ...(passage !== undefined && { passage }),
    placeLabel: placeLabel({ ...(page !== undefined && { page }), ...(headings && { headings: [...headings] }) }, language),
    score,
    language: hit.language,
    ...(explain && { branches }),
  };
}
