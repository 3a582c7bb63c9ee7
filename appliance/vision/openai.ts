import type { VisionBlock, VisionModel } from "../../functions/ports/vision.ts";
import { chat } from "./chat.ts";
import { readingPrompt, unfenced } from "./post.ts";

export type ModelOptions = { readonly url: string; readonly model: string; readonly apiKey: string | undefined };

const service = "The vision endpoint";
const tokensMax = 8_192;

/**
 * Any server that speaks OpenAI's chat completions with pictures, such as the ones DeepSeek-OCR is served by. `url` ends before
 * "/chat/completions". DeepSeek-OCR is asked in its own words and tells the place of each block.
 */
export function openaiVision({ url, model, apiKey }: ModelOptions): VisionModel {
  const isDeepSeek = /deepseek.*ocr/iu.test(model);
  const prompt = isDeepSeek ? "<|grounding|>Convert the document to markdown." : readingPrompt;
  return {
    label: `vision endpoint (${model})`,
    read: async ({ bytes, mediaType }, signal) => {
      const image = `data:${mediaType};base64,${Buffer.from(bytes).toString("base64")}`;
      const content = [
        { type: "image_url", image_url: { url: image } },
        { type: "text", text: prompt },
      ];
      const messages = [{ role: "user", content }] as const;
      const said = await chat({ service, url, model, apiKey, messages, tokensMax, signal });
      if (said.type === "refused") return said;
      const { text, isCut } = said;
      const blocks = groundedBlocks(text);
      const markdown = blocks.length > 0 ? blocks.map((block) => block.text).join("\n\n") : unfenced(withoutMarks(text));
      return { type: "read", markdown, isCut, ...(blocks.length > 0 && { blocks }) };
    },
  };
}

const mark = /<\|ref\|>([\s\S]*?)<\|\/ref\|>\s*<\|det\|>\s*(\[[\d\s.,[\]]*\])\s*<\|\/det\|>/gu;

/** DeepSeek-OCR's grounded answer: a mark with corners in thousandths before the text of each block. */
export function groundedBlocks(text: string): VisionBlock[] {
  const marks = [...text.matchAll(mark)];
  return marks.flatMap((found, at) => {
    const own = text.slice(found.index + found[0].length, marks[at + 1]?.index ?? text.length).trim();
    const [left = 0, top = 0, right = 0, bottom = 0] =
      (found[2] ?? "").match(/\d+(?:\.\d+)?/gu)?.map((number) => Math.min(1, Number(number) / 999)) ?? [];
    if (own === "" || right <= left || bottom <= top) return [];
    return [{ text: withoutMarks(own), box: { left, top, width: right - left, height: bottom - top } }];
  });
}

function withoutMarks(text: string): string {
  return text
    .replaceAll(mark, "")
    .replaceAll(/<\|[^|]{1,40}\|>/gu, "")
    .trim();
}
