/**
 * The pieces that a trained model knows, and how a text becomes pieces: BERT's normaliser and splitter, then the longest known piece from
 * the left. Every server of such models does it this way, so what was trained is what is served.
 */

export type Vocabulary = {
  /** In the order of their ids; a piece that goes on inside a word starts with "##". */
  readonly pieces: readonly string[];
  readonly idOf: ReadonlyMap<string, number>;
};

export const padId = 0;
/** Punctuation and scripts nobody has seen; it weighs nothing. */
export const unknownId = 1;
/** Pieces of one text: what is beyond is cut off, here and when served. */
export const piecesMax = 512;
const wordCharsMax = 100;

/** Parts that most words can be made of: without them a word nobody has seen would weigh nothing. */
const letters = Array.from("abcdefghijklmnopqrstuvwxyz0123456789");
const endings =
  "s es ed ing er ers ly ment ments tion tions ion ions able ible al aux ale ales e ee ees er es ent ant eur eurs euse ite ites ique iques age ages if ive isme ance ence ais ait ons ez".split(
    " ",
  );

/** The words of the texts, most frequent first and at most `piecesMax` of them, `also` before them, and what the rest is made of. */
export function learnVocabulary(
  texts: Iterable<string>,
  { also = [], sizeMax = 30_000 }: { also?: Iterable<string>; sizeMax?: number } = {},
): Vocabulary {
  const counts = new Map<string, number>();
  for (const text of texts) for (const word of bertWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const byCount = [...counts].toSorted(([left, a], [right, b]) => b - a || (left < right ? -1 : 1)).map(([word]) => word);
  const isPiece = (word: string): boolean => /[\p{L}\p{N}]/u.test(word) && word.length <= wordCharsMax;
  const pieces = new Set<string>(["[PAD]", "[UNK]"]);
  for (const letter of letters) pieces.add(letter).add(`##${letter}`);
  for (const ending of endings) pieces.add(`##${ending}`);
  for (const text of also) for (const word of bertWords(text)) if (isPiece(word)) pieces.add(word);
  for (const word of byCount) {
    if (pieces.size >= sizeMax) break;
    if (isPiece(word)) pieces.add(word);
  }
  return toVocabulary([...pieces]);
}

export const toVocabulary = (pieces: readonly string[]): Vocabulary => ({
  pieces,
  idOf: new Map(pieces.map((piece, id) => [piece, id])),
});

/** The ids of a text's pieces, in order, at most `piecesMax`. */
export function toPieces(text: string, { idOf }: Vocabulary): number[] {
  const ids: number[] = [];
  for (const word of bertWords(text)) {
    for (const id of piecesOf(word, idOf)) {
      if (ids.length === piecesMax) return ids;
      ids.push(id);
    }
  }
  return ids;
}

/** One that cannot be made of known pieces altogether is unknown altogether, as in BERT. */
function piecesOf(word: string, idOf: ReadonlyMap<string, number>): number[] {
  const chars = Array.from(word);
  if (chars.length > wordCharsMax) return [unknownId];
  const whole = idOf.get(word);
  if (whole !== undefined) return [whole];
  const ids: number[] = [];
  for (let from = 0; from < chars.length;) {
    let to = chars.length;
    let id: number | undefined;
    for (; to > from; to -= 1) {
      id = idOf.get((from > 0 ? "##" : "") + chars.slice(from, to).join(""));
      if (id !== undefined) break;
    }
    if (id === undefined) return [unknownId];
    ids.push(id);
    from = to;
  }
  return ids;
}

// As BERT has it: ASCII signs are punctuation although Unicode calls some of them symbols.
const wordOrMark = /[\p{P}!-/:-@[-`{-~]|[^\s\p{P}!-/:-@[-`{-~]+/gu;
const ideographs = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]/gu;
const dropped = /[\ufffd\p{Cf}\p{Co}\p{Cs}]|(?![\t\n\r])\p{Cc}/gu;

/** Words and signs of a text as BERT's normaliser and splitter give them: lower case, no accents, signs and ideographs each alone. */
export function bertWords(text: string): string[] {
  const plain = text.replaceAll(dropped, "").replaceAll(ideographs, " $& ").toLowerCase().normalize("NFD");
  return plain.replaceAll(/[\u0300-\u036f]/gu, "").match(wordOrMark) ?? [];
}

/** `tokenizer.json` as the tokenizers library and transformers.js read it. */
export function tokenizerJson({ pieces }: Vocabulary): object {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    // None: a text may say "[PAD]" and mean it.
    added_tokens: [],
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: wordCharsMax,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    },
  };
}
