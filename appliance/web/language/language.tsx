import { createContext, useContext, useMemo, type ReactNode } from "react";
import { en } from "./en.ts";
import { formatBytes, formatLanguage, formatNumber, formatWhen } from "./format.ts";
import { fr } from "./fr.ts";
import type { Language, Words } from "./words.ts";

type Speech = {
  readonly language: Language;
  readonly words: Words;
  readonly bytes: (sizeBytes: number) => string;
  readonly number: (value: number) => string;
  readonly when: (at: number) => string;
  readonly languageName: (code: string) => string;
};

const dictionaries: Record<Language, Words> = { en, fr };
const SpeechContext = createContext<Speech>(toSpeech("en"));

function toSpeech(language: Language): Speech {
  return {
    language,
    words: dictionaries[language],
    bytes: (sizeBytes) => formatBytes(sizeBytes, language),
    number: (value) => formatNumber(value, language),
    when: (at) => formatWhen(at, Date.now(), language),
    languageName: (code) => formatLanguage(code, language),
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
