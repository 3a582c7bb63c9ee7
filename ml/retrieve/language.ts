/** What language a text is in. Function words first, because they are cheap and sure; n-grams only for what they leave open. */

/** ISO 639-1 code → words that are frequent in it and rare in the others of this table. */
const telling: Record<string, readonly string[]> = {
  en: "the of and is are was were what which how who when where why does did with from that this have has for be not you your".split(
    " ",
  ),
  fr: "le la les des du est sont était quel quelle quels quelles combien quand où qui que dans pour avec une ce cette nous vous il elle au aux sur pas".split(
    " ",
  ),
  de: "der die das und ist sind nicht ein eine wie wann wer mit für auf von zu den dem werden wird auch sich".split(" "),
  es: "el los las y es son está cuál cuándo cuánto dónde quién por con una del para como más pero este esta".split(" "),
  it: "il lo gli di è sono che quando quanto dove chi con una della del per nel non come più questo questa".split(" "),
  nl: "de het een van is zijn wat hoe wanneer wie met voor op niet en aan door worden wordt ook".split(" "),
  pt: "o os as é são que quando quanto onde quem com uma do da dos das para não como mais este esta em".split(" "),
};

const tellingSets = Object.entries(telling).map(([language, list]) => ({ language, known: new Set(list) }));

/** Words looked at; the rest of a text is in the same language or in none. */
const sampleWords = 400;
/** Fewer telling words than this decide nothing when n-grams can be asked instead. */
const sureMin = 8;

type Tally = { readonly language: string; readonly best: number; readonly second: number };

/** ISO 639-1, or "und" when it cannot be told. For questions: instant, knows seven languages, needs no data. */
export function detectLanguage(text: string): string {
  const { language, best, second } = tally(text);
  return best > second ? language : "und";
}

/** ISO 639-1, or "und". For documents: loads n-gram data (about 30 MB of memory, once) when function words leave it open. */
export async function detectDocumentLanguage(text: string): Promise<string> {
  const sample = text.slice(0, 8_000);
  const { language, best, second } = tally(sample);
  if (best >= sureMin && best > second * 1.5) return language;
  if (sample.replaceAll(/\P{L}/gu, "").length < 24) return best > second ? language : "und";
  const { eld } = await import("eld/extrasmall");
  const guess = eld.detect(sample);
  if (guess.language !== "" && guess.isReliable()) return guess.language;
  return best > second ? language : "und";
}

function tally(text: string): Tally {
  const found =
    text
      .toLowerCase()
      .normalize("NFC")
      .match(/\p{L}+/gu)
      ?.slice(0, sampleWords) ?? [];
  const scores = tellingSets.map(({ language, known }) => ({ language, score: found.filter((word) => known.has(word)).length }));
  scores.sort((left, right) => right.score - left.score);
  return { language: scores[0]?.language ?? "und", best: scores[0]?.score ?? 0, second: scores[1]?.score ?? 0 };
}
