/**
 * How many tokens a text is to an embedder, without the embedder: the process that cuts files has no model. The rule was fitted to the
 * WordPiece vocabulary of bge-small and its like (30,522 English pieces) and errs on the side of more; the test holds counts of the
 * real tokenizer. An English vocabulary cuts other languages into crumbs, so the same text in French is half as many tokens again.
 */
export type Measure = (text: string) => number;

const part = /\p{L}+|\p{N}+|[^\s\p{L}\p{N}]/gu;
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Hangul}]/u;

/** Tokens of texts in English, or in anything else. */
export function measureOf(isEnglish: boolean): Measure {
  return (text) => {
    let tokens = 0;
    for (const [run] of text.matchAll(part)) tokens += tokensOf(run, isEnglish);
    return Math.ceil(tokens);
  };
}

function tokensOf(run: string, isEnglish: boolean): number {
  const { length } = run;
  const first = run.charCodeAt(0);
  if (first >= 48 && first <= 57) return length <= 3 ? 1 : length / 2;
  if (length === 1 || !/\p{L}/u.test(run)) return 1;
  if (unspaced.test(run)) return length;
  // Long words of English texts are names and technical terms; of most common words there is a whole piece.
  if (isEnglish) return length <= 7 ? 1.02 : 1.05 + (length - 7) * 0.3;
  return length <= 2 ? 1 : 0.36 * length + 0.1;
}
