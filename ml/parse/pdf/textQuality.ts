/** Whether a page's own text can be believed. */

/**
 * Share of words that look like words: letters of one script with a vowel, or numbers. Text layers that were written by a broken
 * recogniser or with fonts that do not say which letters they hold have few.
 */
export function wordShare(text: string): number {
  const words = text.match(/\S+/gu) ?? [];
  if (words.length === 0) return 0;
  return words.filter(isWordLike).length / words.length;
}

function isWordLike(word: string): boolean {
  const core = word.replaceAll(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}%€$°]+$/gu, "");
  if (core === "") return /^[-–—•·|&+=/:;,.!?%€$()«»"'’]+$/u.test(word);
  if (/[\u{e000}-\u{f8ff}\ufffd\p{Cc}]/u.test(core)) return false;
  if (/^[\d.,:/ %€$+\-–()x×°'’]+$/u.test(core)) return true;
  if (/[^\p{L}\p{M}\p{N}'’.,\-–/@&_+:°·()]/u.test(core)) return false;
  const letters = core.replaceAll(/[^\p{L}]/gu, "");
  if (letters.length === 0) return false;
  // Scripts without spaces or vowels are left alone.
  if (!/^[\p{Script=Latin}]+$/u.test(letters))
    return /^[\p{L}\p{M}\p{N}\p{P}]+$/u.test(core) && !/\p{Script=Latin}/u.test(letters);
  if (letters.length <= 3) return true;
  if (letters.length > 30) return false;
  if (/\p{Ll}\p{Lu}\p{Ll}?\p{Lu}|(\p{L})\1{3}/u.test(letters)) return false;
  return /[aeiouyàâäéèêëîïôöùûüœæáíóúñãõåø]/iu.test(letters) || letters === letters.toUpperCase();
}

/** A text layer this bad is worth comparing with what can be seen. */
export function isGarbage(text: string): boolean {
  return text.length >= 20 && wordShare(text) < 0.55;
}
