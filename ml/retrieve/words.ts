/**
 * From text to the terms that search compares: one normaliser for the sparse index, the baseline embedder and highlighting, so
 * that they agree on what a word is. Language-blind on purpose: a question and a document need not be in the same language to
 * share a name or a number, and short questions cannot be told apart reliably.
 */

/** One word of a text in its normal forms. */
export type Word = {
  /** Lower case, accents folded. */
  readonly form: string;
  /** `form` without light English and French endings; what the index stores. */
  readonly stem: string;
  /** 32-bit hash of `stem`. */
  readonly hash: number;
  /** A function word of English or French: says how, not what. */
  readonly isStop: boolean;
};

/** A cache entry is some 200 bytes, so this is about 6 MB; the vocabulary of a language in daily use fits. */
const cacheEntriesMax = 30_000;
/** Longer runs of letters are encodings, not words; they would fill the index and answer nothing. */
const wordCharsMax = 64;
/** Words per text beyond which the rest adds nothing to a passage; guards against a caller that passes a whole file. */
const wordsMax = 20_000;

const stopWords = new Set(
  (
    "a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it its me my of on " +
    "or our she should so than that the their them then there these they this those to was we were what when where which who whom " +
    "whose why will with would you your am about also any been being between each just more most no nor not only other over own same " +
    "some such too under until up very much many please tell " +
    "au aux avec ce ces cet cette comme d dans de des du elle elles en est et etait etaient ete etre eu il ils j je l la le les leur " +
    "leurs lui m ma mais me mes moi mon n ne nos notre nous on ont ou par pas pour qu que quel quelle quelles quels qui quand combien " +
    "comment pourquoi s sa sans se ses si son sont sur t ta te tes toi ton tu un une vos votre vous y a ai as avons avez sera seront " +
    "etes sommes suis fait faire cela ceci ca c quoi dont plus tres aussi entre chaque"
  ).split(" "),
);

const cache = new Map<string, readonly Word[]>();

// Letters, digits and the joiners inside identifiers, addresses, dates and amounts ("NK-4471", "a.b@c.org", "1,250.50", "l'eau").
const token = /[\p{L}\p{N}\p{M}]+(?:[._\-/:@+&’',][\p{L}\p{N}\p{M}]+)*/gu;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

// Numbers and codes written in groups: "12 400", "FR76 3000 6000 0112", "06 12 34 56 78". Each group has a digit.
const grouped =
  /(?<![\p{L}\p{N}])(?:\p{Lu}{2}\d{2}|\d{1,5})(?:[ \u00a0\u202f](?=[\p{Lu}\d]*\d)[\p{Lu}\d]{2,5}){1,10}(?![\p{L}\p{N}])/gu;

/**
 * The words of a text in order. An identifier gives itself and its parts: "DN50-B" → "dn50-b", "dn50b", "dn50", "dn", "50", "b". What is
 * written in groups is a word as a whole, too: "12 400" meets "12400".
 */
export function words(text: string): Word[] {
  const found: Word[] = [];
  for (const [raw] of text.matchAll(token)) {
    if (found.length >= wordsMax) break;
    for (const word of wordsOf(raw)) found.push(word);
  }
  if (!/\d[ \u00a0\u202f][\p{Lu}\d]/u.test(text)) return found;
  for (const [raw] of text.matchAll(grouped)) {
    const whole = raw.replaceAll(/\s/gu, "").toLowerCase();
    if (whole.length >= groupedCharsMin && whole.length <= wordCharsMax) found.push(toWord(whole));
  }
  return found;
}

/** Fewer digits in groups are more often two numbers side by side than one. */
const groupedCharsMin = 4;

/** The stems that say what a text is about: without function words, unless there is nothing else. */
export function contentStems(text: string): Set<string> {
  const all = words(text);
  const content = all.filter((word) => !word.isStop);
  return new Set((content.length > 0 ? content : all).map((word) => word.stem));
}

function wordsOf(raw: string): readonly Word[] {
  const known = cache.get(raw);
  if (known) return known;
  const made = formsOf(raw).map(toWord);
  if (cache.size >= cacheEntriesMax) cache.clear();
  // A copy of its own: a slice of a document would keep the whole document alive.
  cache.set(Buffer.from(raw, "utf8").toString("utf8"), made);
  return made;
}

function formsOf(raw: string): string[] {
  const folded = fold(raw);
  if (unspaced.test(folded)) return bigrams(folded);
  const forms = new Set<string>();
  for (const chunk of folded.split(/['’]/u)) addForms(chunk, forms);
  if (/\p{Ll}\p{Lu}/u.test(raw))
    for (const part of raw.split(/(?<=\p{Ll})(?=\p{Lu})|[^\p{L}\p{N}]+/u)) addForms(fold(part), forms);
  return [...forms].filter((form) => form !== "" && form.length <= wordCharsMax);
}

function addForms(chunk: string, forms: Set<string>): void {
  const parts = chunk.split(/[._\-/:@+&,]+/u).filter((part) => part !== "");
  // An amount is one number however its thousands are set off: "1,250" and "1250" meet.
  const amount = /^(\d{1,3}(?:[,.]\d{3})+)(?:[,.]\d{1,2})?$/u.exec(chunk)?.[1];
  if (amount) forms.add(amount.replaceAll(/[,.]/gu, ""));
  else if (parts.length > 1 && !/,/u.test(chunk)) {
    forms.add(chunk);
    // A code is the same with and without its hyphens: "NK-4471" and "NK4471".
    if (/\d/u.test(chunk)) forms.add(parts.join(""));
  }
  for (const part of parts) {
    forms.add(part);
    if (/\d/u.test(part) && /\p{L}/u.test(part)) for (const piece of part.match(/\d+|\p{L}+/gu) ?? []) forms.add(piece);
  }
}

function fold(text: string): string {
  const lower = text.toLowerCase();
  // eslint-disable-next-line no-control-regex -- the point is to spare pure ASCII the costly normalisation
  if (/^[\x00-\x7f]*$/u.test(lower)) return lower;
  return lower
    .normalize("NFKD")
    .replaceAll(/\p{M}+/gu, "")
    .replaceAll("œ", "oe")
    .replaceAll("æ", "ae")
    .replaceAll("ß", "ss");
}

/** Scripts that write no spaces are compared by pairs of letters. */
function bigrams(text: string): string[] {
  const letters = text.match(/[\p{L}\p{N}]/gu) ?? [];
  if (letters.length < 2) return letters;
  return letters.slice(1).map((letter, at) => `${letters[at] ?? ""}${letter}`);
}

function toWord(form: string): Word {
  const stem = stemOf(form);
  return { form, stem, hash: hashOf(stem), isStop: stopWords.has(form) };
}

/**
 * Takes off plurals and the commonest endings of English and French, and only where at least three letters stay. Light on
 * purpose: a stem that joins two meanings costs more than one that misses a form, because the dense half also compares parts.
 */
export function stemOf(form: string): string {
  if (form.length < 4 || !/^\p{L}+$/u.test(form)) return form;
  let stem = form;
  if (/[^aeiou]ies$/u.test(stem) && stem.length > 4) stem = `${stem.slice(0, -3)}y`;
  else if (stem.endsWith("eaux")) stem = stem.slice(0, -1);
  else if (stem.endsWith("aux") && stem.length > 5) stem = `${stem.slice(0, -3)}al`;
  else if (/(?:[sxz]|ch|sh)es$/u.test(stem) && stem.length > 5) stem = stem.slice(0, -2);
  else if (/[^siu]s$/u.test(stem)) stem = stem.slice(0, -1);
  const cut = /(?:ing|ed)$/u.exec(stem);
  if (cut && cut.index >= 3 && /[aeiouy]/u.test(stem.slice(0, cut.index))) {
    stem = stem.slice(0, cut.index).replace(/([bdfgkmnprt])\1$/u, "$1");
  }
  if (stem.length > 4 && stem.endsWith("ly")) stem = stem.slice(0, -2);
  if (stem.length > 4 && /ees?$/u.test(stem)) stem = stem.replace(/ees?$/u, "");
  else if (stem.length > 3 && stem.endsWith("e")) stem = stem.slice(0, -1);
  return stem.length > 3 && stem.endsWith("y") ? `${stem.slice(0, -1)}i` : stem;
}

/** FNV-1a over UTF-16 units, then a finaliser so that near words land far apart. Part of the stored index: never change. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
