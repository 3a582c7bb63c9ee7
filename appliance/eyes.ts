import type { Converter } from "../functions/ports/converter.ts";
import type { Ocr } from "../functions/ports/ocr.ts";
import type { Secrets } from "../functions/ports/secrets.ts";
import { openDocling } from "./docling/docling.ts";
import { openOcr } from "./ocr/ocr.ts";
import { openVision, withVision, type VisionConfig } from "./vision/vision.ts";

export type EyesConfig = {
  /** Three-letter names, as Tesseract has them. */
  readonly languages: readonly string[];
  readonly vision: VisionConfig | undefined;
  readonly docling: { readonly url: string; readonly apiKey: string | undefined } | undefined;
};

type EyesOptions = { readonly config: EyesConfig; readonly secrets: Secrets; readonly log: (line: string) => void };

export type Eyes = { readonly ocr: Ocr; readonly converter: Converter | undefined; close(): Promise<void> };

/**
 * What reads pictures and layouts: Tesseract, and what the owner chose beside it. Pictures leave the machine only when a model elsewhere
 * was chosen, and the log says so.
 */
export async function openEyes({ config, secrets, log }: EyesOptions): Promise<Eyes> {
  const recogniser = openOcr({ languages: config.languages, log });
  const { vision, docling } = config;
  const model = vision && openVision({ ...vision, apiKey: vision.apiKey ?? (await secrets.find("vision", "vision")) });
  const ocr = model ? withVision({ vision: model, ocr: recogniser, log }) : recogniser;
  if (model) log(`scanned pages are sent to ${model.label}, because NIKA_VISION says so`);
  const converter = docling && openDocling({ ...docling, apiKey: docling.apiKey ?? (await secrets.find("docling", "docling")) });
  if (converter) log(`PDFs and pictures are sent to docling, because NIKA_DOCLING_URL says so`);
  return { ocr, converter, close: () => ocr.close() };
}
