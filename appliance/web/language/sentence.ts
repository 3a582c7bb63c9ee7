import { codes, type Code } from "../../../convex/model/error.ts";
import type { Language, Words } from "./words.ts";

/** An error as it travels: in ConvexError.data, in the body of an HTTP answer, in a job. */
export type Failure = { readonly code: Code; readonly message: string };

/** Whatever was thrown or received, as a failure. What carries no code of ours never got an answer from the appliance. */
export function toFailure(thrown: unknown): Failure {
  const carried = typeof thrown === "object" && thrown !== null && "data" in thrown ? thrown.data : thrown;
  if (typeof carried === "object" && carried !== null && "code" in carried && isCode(carried.code)) {
    const message = "message" in carried && typeof carried.message === "string" ? carried.message : "";
    return { code: carried.code, message };
  }
  return { code: thrown instanceof TypeError ? "unavailable" : "bug", message: "" };
}

/** The sentence to show. The appliance speaks English, and precisely; the other language says what the code means. */
export function sentenceOf(failure: { code: string; message: string }, language: Language, words: Words): string {
  if (language === "en" && failure.message !== "") return failure.message;
  return words.errors[isCode(failure.code) ? failure.code : "bug"];
}

function isCode(value: unknown): value is Code {
  return typeof value === "string" && value in codes;
}
