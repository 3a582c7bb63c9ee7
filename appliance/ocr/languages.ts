/** Which of the installed languages a page is in, where those it was read with first do not fit. */
import type { OcrText } from "../../functions/ports/ocr.ts";
import { detectLanguage } from "../../ml/retrieve/language.ts";

/** Tesseract's names of the languages that can be told from a text. */
const names: Readonly<Record<string, string>> = { en: "eng", fr: "fra", de: "deu", es: "spa", it: "ita", nl: "nld", pt: "por" };

/** Languages by the script that Tesseract tells, the commonest first. Those in Latin letters are told by their words. */
const ofScript: Readonly<Record<string, readonly string[]>> = {
  Cyrillic: ["rus", "ukr", "bul", "srp"],
  Greek: ["ell"],
  Arabic: ["ara", "fas"],
  Hebrew: ["heb"],
  Han: ["chi_sim", "chi_tra"],
  Japanese: ["jpn"],
  Hangul: ["kor"],
  Korean: ["kor"],
  Devanagari: ["hin"],
  Thai: ["tha"],
};

/** Words read with a wrong model of the same letters are mostly right; with a model of other letters they are noise. */
const readable = 55;
const languagesMax = 2;

type Known = { readonly installed: ReadonlySet<string>; readonly used: readonly string[] };

/** The language its words are of, if that is installed and was not used; undefined when there is nothing better. */
export function languageOfWords({ lines, confidence }: OcrText, { installed, used }: Known): string | undefined {
  if (confidence < readable) return undefined;
  const text = lines.flatMap(({ words }) => words.map((word) => word.text)).join(" ");
  const name = names[detectLanguage(text)];
  return name !== undefined && installed.has(name) && !used.includes(name) ? name : undefined;
}

/** Whether asking for the script can lead anywhere: the page made no sense, and a language of other letters is installed. */
export function wantsScript({ confidence }: OcrText, { installed, used }: Known): boolean {
  const others = Object.values(ofScript).flat();
  return confidence < readable && installed.has("osd") && others.some((name) => installed.has(name) && !used.includes(name));
}

/** The installed languages of the script in Tesseract's report on a page (`--psm 0`). */
export function languagesOfScript(report: string, { installed, used }: Known): string[] {
  const script = /^Script: (\w+)$/mu.exec(report)?.[1];
  const found = (script === undefined ? undefined : ofScript[script]) ?? [];
  return found.filter((name) => installed.has(name) && !used.includes(name)).slice(0, languagesMax);
}
