import type { Ocr, OcrText } from "../../functions/ports/ocr.ts";
import type { VisionModel, VisionReading } from "../../functions/ports/vision.ts";
import { claudeUrl, claudeVision } from "./claude.ts";
import { geminiUrl, geminiVision } from "./gemini.ts";
import { openaiVision } from "./openai.ts";

/** A model the owner chose. `openai` is any server that speaks its chat completions, DeepSeek-OCR's among them; it needs a `url`. */
export type VisionConfig = {
  readonly type: "openai" | "gemini" | "claude";
  readonly url: string | undefined;
  readonly model: string;
  readonly apiKey: string | undefined;
};

export function openVision({ type, url, model, apiKey }: VisionConfig): VisionModel {
  switch (type) {
    case "openai":
      return openaiVision({ url: url ?? "", model, apiKey });
    case "gemini":
      return geminiVision({ url: url ?? geminiUrl, model, apiKey });
    case "claude":
      return claudeVision({ url: url ?? claudeUrl, model, apiKey });
  }
}

type WithVisionOptions = { readonly vision: VisionModel; readonly ocr: Ocr; readonly log?: (line: string) => void };

/**
 * Reads whole pages with a model, figures with the recogniser. The recogniser reads pages too: where both see the same words the page's
 * confidence is high, and where the model refuses, stops half-way or sees nothing its text stands.
 */
export function withVision({ vision, ocr, log = () => {} }: WithVisionOptions): Ocr {
  return {
    label: `${vision.label}, checked by ${ocr.label}`,
    read: async (picture, signal) => {
      if (picture.type !== "page") return await ocr.read(picture, signal);
      const [seen, recognised] = await Promise.all([vision.read(picture, signal), ocr.read(picture, signal)]);
      if (seen.type === "refused") log(`${vision.label} would not read a page (${seen.reason}); ${ocr.label} did`);
      return choose(seen, recognised);
    },
    close: () => ocr.close(),
  };
}

function choose(seen: VisionReading, recognised: OcrText | undefined): OcrText | undefined {
  if (seen.type === "refused" || (seen.isCut && recognised) || (seen.markdown.trim() === "" && recognised)) return recognised;
  const { markdown, blocks } = seen;
  return { lines: [], markdown, confidence: agreement(markdown, recognised), ...(blocks && { blocks }) };
}

const sure = 60;

/** Share, 0 to 100, of the words the recogniser was sure of that the model wrote as well; 0 when it was sure of none. */
export function agreement(markdown: string, recognised: OcrText | undefined): number {
  const words = (recognised?.lines ?? [])
    .flatMap((line) => line.words)
    .filter(({ confidence, text }) => confidence >= sure && /[\p{L}\d]{2}/u.test(text))
    .flatMap(({ text }) => folded(text));
  if (words.length === 0) return 0;
  const known = new Set(folded(markdown));
  return Math.round((words.filter((word) => known.has(word)).length / words.length) * 100);
}

function folded(text: string): string[] {
  return (
    text
      .normalize("NFD")
      .replaceAll(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[\p{L}\d]{2,}/gu) ?? []
  );
}
