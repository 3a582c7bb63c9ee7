/**
 * What tools answer, looked at before a model reads it: marks that cannot be seen and codes for terminals are taken out, sentences that speak to a
 * model and what looks like a secret are pointed out. Hints, not walls. Pure.
 */
/* oxlint-disable no-control-regex, no-misleading-character-class -- they are what is looked for */
import { secretShapes } from "./server.ts";
import { speakingPhrases } from "./tool.ts";

export type MarkKind = "hidden" | "control" | "secret" | "speaks";
/** `path` says where in the result. */
export type Mark = { readonly path: string; readonly kind: MarkKind; readonly what: string };

/** Codes that move the cursor, colour, or set a title: ECMA-48, section 5. */
const terminal =
  /[\u001B\u009B](?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]{0,4000}(?:\u0007|\u001B\\)|[PX^_][^\u001B]{0,4000}\u001B\\|[ -/]*[0-~])?/g;
const control = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g;
/**
 * Letters nobody sees: tags outside of flags, runs of selectors and of zero-width marks, and overrides of direction. Single joiners and selectors
 * belong to emoji and scripts and stay.
 */
const hidden =
  /(?<!\u{1F3F4}[\u{E0061}-\u{E007A}]{0,8})[\u{E0000}-\u{E007F}]+|[\u{E0100}-\u{E01EF}]{2,}|[\uFE00-\uFE0F]{2,}|[\u200B-\u200F\u2060-\u2064\uFEFF\u180E]{3,}|[\u202A-\u202E]+/gu;

export type Cleaned = { readonly text: string; readonly kinds: readonly ("hidden" | "control")[] };

/** Quick for what holds nothing odd. */
export function cleanText(text: string): Cleaned {
  if (
    !/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u180E\u200B-\u200F\u202A-\u202E\u2060-\u2064\uFE00-\uFE0F\uFEFF\uDB40]/.test(
      text,
    )
  )
    return { text, kinds: [] };
  const calm = text.replace(terminal, "").replace(control, "");
  const seen = calm.replace(hidden, "");
  const kinds = [...(calm === text ? [] : (["control"] as const)), ...(seen === calm ? [] : (["hidden"] as const))];
  return { text: seen, kinds };
}

/** Of one text no more than this is read for phrases and secrets. */
const readCharsMax = 64_000;

/** What in a text speaks to a model, or looks like a secret. */
export function marksOf(text: string, path: string): Mark[] {
  const read = text.slice(0, readCharsMax);
  const marks: Mark[] = [];
  for (const [pattern, what] of speakingPhrases) if (pattern.test(read)) marks.push({ path, kind: "speaks", what });
  if (secretShapes.some((shape) => shape.test(read)))
    marks.push({ path, kind: "secret", what: "holds what looks like a secret" });
  return marks;
}

const everySecret = secretShapes.map((shape) => new RegExp(shape.source, `${shape.flags}g`));

/** For logs: what looks like a secret is not shown. */
export const withoutSecrets = (text: string): string =>
  everySecret.reduce((left, shape) => left.replace(shape, "•••"), text.replace(wholeKey, "•••"));

const wholeKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** The same value with every text in it put through `change`. */
export function withTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((one) => withTexts(one, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withTexts(one, change)]));
}
