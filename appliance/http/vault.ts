/** What people send to be looked for, checked. Whose passages are meant is never among it: that follows from who asks. */
import { passagesPerAnswerMax, questionCharsMax, type SearchFilter, type SearchWeights } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";

export type SearchRequest = {
  readonly question: string;
  readonly limit: number;
  readonly filter?: SearchFilter;
  readonly weights?: SearchWeights;
  readonly explain?: boolean;
  /** Who asks in one go: a visit of the page, a conversation. */
  readonly session?: string;
};
/** Exactly one of `question`, `imageId` (a picture that is kept) and `image` (bytes) is there. */
export type PictureRequest = {
  readonly limit: number;
  readonly filter?: SearchFilter;
  readonly explain?: boolean;
  readonly question?: string;
  readonly imageId?: string;
  readonly image?: Uint8Array;
};
export type OpenRequest = {
  readonly documentId: string;
  readonly ordinal: number;
  readonly language?: "en" | "fr";
  /** The answer that it was shown in. */
  readonly useKey?: string;
};

type Body = Readonly<Record<string, unknown>>;

const lists = ["types", "languages", "formats", "kinds", "domains", "scopes", "documentIds"] as const;
const texts = ["author", "folder"] as const;
const times = ["from", "to"] as const;
const weights = ["recency", "authority", "diversity"] as const;
const valuesMax = 200;
const textCharsMax = 1_000;

/** Fails with `invalid` and a sentence about the first thing that is wrong. */
export function toSearchRequest(body: Body): SearchRequest {
  const { question, limit = 5, filter, weights: asked, explain, session } = body;
  if (typeof question !== "string" || question.trim() === "" || question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has 1 to ${questionCharsMax} characters.`);
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > passagesPerAnswerMax)
    throw new NikaError("invalid", `The limit must be a number from 1 to ${passagesPerAnswerMax}.`);
  return {
    question: question.trim(),
    limit: limit as number,
    ...(filter !== undefined && { filter: toFilter(filter) }),
    ...(asked !== undefined && { weights: toWeights(asked) }),
    ...(explain === true && { explain }),
    ...(typeof session === "string" && session.length <= textCharsMax && { session }),
  };
}

/** Fails with `invalid` and a sentence about the first thing that is wrong. `image` is sent as base64. */
export function toPictureRequest(body: Body): PictureRequest {
  const { question, imageId, image, limit = 12, filter, explain } = body;
  if ([question, imageId, image].filter((one) => one !== undefined).length !== 1)
    throw new NikaError("invalid", "Ask for pictures with one of question, imageId and image.");
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > passagesPerAnswerMax)
    throw new NikaError("invalid", `The limit must be a number from 1 to ${passagesPerAnswerMax}.`);
  const shared = {
    limit: limit as number,
    ...(filter !== undefined && { filter: toFilter(filter) }),
    ...(explain === true && { explain }),
  };
  if (question !== undefined) return { ...shared, question: toSearchRequest({ question }).question };
  if (imageId !== undefined) {
    if (typeof imageId !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(imageId))
      throw new NikaError("invalid", "Say which picture, by its id.");
    return { ...shared, imageId };
  }
  if (typeof image !== "string" || image === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(image)) throw wrong("image", "base64");
  return { ...shared, image: new Uint8Array(Buffer.from(image, "base64")) };
}

export function toOpenRequest({ documentId, ordinal = 0, language, useKey }: Body): OpenRequest {
  if (typeof documentId !== "string" || documentId === "" || documentId.length > textCharsMax)
    throw new NikaError("invalid", "Say which document to open, by its id.");
  if (!Number.isSafeInteger(ordinal) || (ordinal as number) < 0)
    throw new NikaError("invalid", "A passage is named by its number, from 0.");
  return {
    documentId,
    ordinal: ordinal as number,
    language: language === "fr" ? "fr" : "en",
    ...(typeof useKey === "string" && useKey.length <= textCharsMax && { useKey }),
  };
}

function toFilter(given: unknown): SearchFilter {
  const filter = toObject(given, "The filter");
  const known = new Set<string>([...lists, ...texts, ...times]);
  const unknown = Object.keys(filter).find((key) => !known.has(key));
  if (unknown !== undefined) throw new NikaError("invalid", `A search cannot be limited by "${unknown.slice(0, 40)}".`);
  for (const key of lists) if (filter[key] !== undefined && !isTextList(filter[key])) throw wrong(key, "a list of texts");
  for (const key of texts) if (filter[key] !== undefined && !isText(filter[key])) throw wrong(key, "a text");
  for (const key of times)
    if (filter[key] !== undefined && !Number.isFinite(filter[key])) throw wrong(key, "a number of milliseconds");
  return filter;
}

function toWeights(given: unknown): SearchWeights {
  const object = toObject(given, "The weights");
  const found: Record<string, number> = {};
  for (const key of weights) {
    const value = object[key];
    if (value === undefined) continue;
    if (typeof value !== "number" || !(value >= 0 && value <= 1)) throw wrong(key, "a number from 0 to 1");
    found[key] = value;
  }
  return found;
}

function toObject(value: unknown, name: string): Body {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new NikaError("invalid", `${name} must be an object.`);
  return value as Body;
}

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= textCharsMax;
const isTextList = (value: unknown): boolean => Array.isArray(value) && value.length <= valuesMax && value.every(isText);
const wrong = (key: string, what: string): NikaError => new NikaError("invalid", `"${key}" must be ${what}.`);
