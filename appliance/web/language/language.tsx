import { createContext, useContext, useMemo, type ReactNode } from "react";
import { en } from "./en.ts";
import { formatBytes, formatLanguage, formatMoment, formatNumber, formatWhen } from "./format.ts";
import { fr } from "./fr.ts";
import type { Language, Words } from "./words.ts";

type Speech = {
  readonly language: Language;
  readonly words: Words;
  readonly bytes: (sizeBytes: number) => string;
  readonly number: (value: number) => string;
  readonly when: (at: number) => string;
  /** Day and time: for what is still to come. */
  readonly moment: (at: number) => string;
  readonly languageName: (code: string) => string;
};

const dictionaries: Record<Language, Words> = { en, fr };
const SpeechContext = createContext<Speech>(toSpeech("en"));

function toSpeech(language: Language): Speech {
  // The owner's own region, when the browser names one for this language.
  const locale = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
  return {
    language,
    words: dictionaries[language],
    bytes: (sizeBytes) => formatBytes(sizeBytes, locale),
    number: (value) => formatNumber(value, locale),
    when: (at) => formatWhen(at, Date.now(), locale),
    moment: (at) => formatMoment(at, Date.now(), locale),
    languageName: (code) => formatLanguage(code, locale),
  };
}

/** Gives everything below it words and formats in `language`. */
export function SpeechProvider({ language, children }: { language: Language; children: ReactNode }) {
  const speech = useMemo(() => toSpeech(language), [language]);
  return <SpeechContext value={speech}>{children}</SpeechContext>;
}

export function useSpeech(): Speech {
  return useContext(SpeechContext);
}
