import type { Settings } from "../../../convex/model/setting.ts";
import type { Language } from "./words.ts";

/** "auto" follows the browser's first language that we speak. */
export function toLanguage(wanted: Settings["language"], preferred: readonly string[]): Language {
  if (wanted !== "auto") return wanted;
  for (const tag of preferred) {
    if (/^fr\b/iu.test(tag)) return "fr";
    if (/^en\b/iu.test(tag)) return "en";
  }
  return "en";
}
