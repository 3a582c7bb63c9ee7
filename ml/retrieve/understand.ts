import type { SearchFilter, Understood } from "../../convex/model/answer.ts";
import { findPeriod } from "./period.ts";
import { words } from "./words.ts";

/** What a question says besides its words. `rest` is the question without its dates and marks, never empty when the question is not. */
export type Reading = Omit<Understood, "corrections"> & {
  readonly rest: string;
  /** It asks for documents of a type or time, whatever they say: "factures de mars". */
  readonly isListing: boolean;
};

const listingWords =
  /(?<![\p{L}\p{N}])(?:show|list|all|find|give|get|me|every|any|recent|latest|montre|montrez|liste|lister|toutes?|tous|trouve|donne|donnez|moi|voir|recents?|recentes?|dernieres?|derniers?|documents?|files?|fichiers?)(?![\p{L}\p{N}])/gu;

/** Words that name a type of document, singular and plural, in lower case without accents. */
const typeWords: Readonly<Record<string, string>> = {
  invoice: "invoices? factures? bills?",
  quote: "quotes? quotations? devis estimates?",
  contract: "contracts? contrats? agreements? leases? bail baux",
  email: "e-?mails? mails? courriels? messages?",
  drawing: "drawings? blueprints? dessins? schemas?",
  manual: "manuals? handbooks? notices? mode d.emploi modes d.emploi",
  report: "reports? rapports?",
  letter: "letters? lettres? courriers?",
  resume: "resumes? cvs? curriculum",
  minutes: "minutes comptes? rendus? comptes?-rendus? proces-verbal proces-verbaux pv",
  table: "spreadsheets? tableaux? tableurs? price lists? listes? de prix",
  contact: "contacts? business cards? cartes? de visite",
  event: "events? rendez-vous rdv appointments?",
};
const types = Object.entries(typeWords).map(([type, list]) => {
  const forms = list
    .replaceAll("comptes? rendus?", "comptes?~rendus?")
    .replaceAll(/(price|mode|modes|listes\?|cartes\?|business) (?=lists|d\.emploi|cards|de )/gu, "$1~")
    .replaceAll("de ", "de~");
  return {
    type,
    pattern: new RegExp(`(?<![\\p{L}\\p{N}])(?:${forms.split(" ").join("|").replaceAll("~", " ")})(?![\\p{L}\\p{N}])`, "u"),
  };
});

const languageWords: readonly (readonly [string, RegExp])[] = [
  ["en", /\b(?:in english|en anglais|english (?:documents?|texts?|versions?)|(?:documents?|textes?|version) anglaise?s?)\b/u],
  ["fr", /\b(?:in french|en francais|french (?:documents?|texts?|versions?)|(?:documents?|textes?|version) francaise?s?)\b/u],
  ["de", /\b(?:in german|en allemand)\b/u],
  ["es", /\b(?:in spanish|en espagnol)\b/u],
  ["it", /\b(?:in italian|en italien)\b/u],
];

const quoted = /"([^"]{2,200})"|«\s*([^»]{2,200}?)\s*»|“([^”]{2,200})”/gu;
/** Letters and digits in one, or digits joined by marks: an identifier, as long as it is no date or amount. */
const code =
  /(?<![\p{L}\p{N}])(?=[\p{L}\p{N}._/@:-]*\d)(?=[\p{L}\p{N}._/@:-]*(?:\p{L}|\d[-_/.:]?\d{3}))[\p{L}\p{N}]+(?:[._/@:-][\p{L}\p{N}]+)*(?![\p{L}\p{N}])/gu;
const address = /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}.-]+\.\p{L}{2,}/gu;
const codesMax = 8;

/**
 * Reads a question for what it says of the documents it wants: their type, language and period, phrases in quotation marks, and codes.
 * A guess by rules, in English and French; `now` (ms since 1970) is what "last month" counts from, in UTC. Nothing here may keep a
 * passage from being found: who searches uses it to move passages up.
 */
export function understand(question: string, now: number): Reading {
  const phrases = [...question.matchAll(quoted)].map((match) => (match[1] ?? match[2] ?? match[3] ?? "").trim()).filter(Boolean);
  const open = question.replaceAll(quoted, " $1$2$3 ");
  const folded = fold(open);
  const period = findPeriod(folded, now);
  const typesFound = types.filter(({ pattern }) => pattern.test(folded)).map(({ type }) => type);
  const languages = languageWords.filter(([, pattern]) => pattern.test(folded)).map(([language]) => language);
  const filter: SearchFilter = {
    ...(typesFound.length > 0 && { types: typesFound }),
    ...(languages.length > 0 && { languages }),
    ...(period?.from !== undefined && { from: period.from }),
    ...(period?.to !== undefined && { to: period.to }),
  };
  const rest = (period ? without(open, period.spans) : open).replaceAll(/\s+/gu, " ").trim();
  const isLimited = Object.keys(filter).length > 0;
  const isListing = isLimited && phrases.length === 0 && isEmptyWithout(fold(rest));
  return { filter, phrases, codes: codesOf(rest), rest: /[\p{L}\p{N}]/u.test(rest) ? rest : open.trim(), isListing };
}

/** Whether nothing but function words is left of a text without the names of types and languages, and words that ask for a list. */
function isEmptyWithout(folded: string): boolean {
  let left = folded.replaceAll(listingWords, " ");
  for (const { pattern } of types) left = left.replaceAll(new RegExp(pattern, "gu"), " ");
  for (const [, pattern] of languageWords) left = left.replaceAll(new RegExp(pattern, "gu"), " ");
  return words(left).every(({ isStop, form }) => isStop || form.length < 2);
}

function codesOf(text: string): string[] {
  const found = [...text.matchAll(address), ...text.matchAll(code)].map(([raw]) => raw);
  return [...new Set(found)]
    .filter((one) => one.length >= 3 && !/^\d+(?:st|nd|rd|th|e|er|eme|ème|h|am|pm|km|kg|m|cm|mm|l)$/iu.test(one))
    .slice(0, codesMax);
}

/** Lower case without accents, every character in its old place, so that offsets stay true. */
function fold(text: string): string {
  return Array.from(text, (char) => {
    const plain = char.toLowerCase().normalize("NFD").replaceAll(/\p{M}/gu, "");
    return plain.length === char.length ? plain : char;
  }).join("");
}

function without(text: string, spans: readonly { from: number; to: number }[]): string {
  let kept = "";
  let at = 0;
  for (const { from, to } of [...spans].sort((one, other) => one.from - other.from)) {
    kept += text.slice(at, Math.max(at, from));
    at = Math.max(at, to);
  }
  return kept + text.slice(at);
}
