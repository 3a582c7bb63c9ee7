import type { VisionModel } from "../../functions/ports/vision.ts";
import type { ModelOptions } from "./openai.ts";
import { member, misunderstood, postJson, readingPrompt, unfenced } from "./post.ts";

const service = "Gemini";
export const geminiUrl = "https://generativelanguage.googleapis.com/v1beta";

/** Google's generateContent. */
export function geminiVision({ url, model, apiKey }: ModelOptions): VisionModel {
  return {
    label: `gemini (${model})`,
    read: async ({ bytes, mediaType }, signal) => {
      const parts = [
        { inline_data: { mime_type: mediaType, data: Buffer.from(bytes).toString("base64") } },
        { text: readingPrompt },
      ];
      const answer = await postJson({
        service,
        url: `${url.replace(/\/$/u, "")}/models/${encodeURIComponent(model)}:generateContent`,
        // The key as a header: addresses end up in logs.
        headers: apiKey === undefined ? {} : { "x-goog-api-key": apiKey },
        body: { contents: [{ role: "user", parts }], generationConfig: { temperature: 0, maxOutputTokens: 8_192 } },
        signal,
      });
      const blocked = member(answer, "promptFeedback", "blockReason");
      if (typeof blocked === "string") return { type: "refused", reason: blocked };
      const end = member(answer, "candidates", 0, "finishReason");
      if (typeof end === "string" && /SAFETY|RECITATION|BLOCKLIST|PROHIBITED|SPII/u.test(end))
        return { type: "refused", reason: end };
      const found = member(answer, "candidates", 0, "content", "parts");
      if (!Array.isArray(found) && end !== "STOP") throw misunderstood(service);
      const text = (Array.isArray(found) ? found : [])
        .map((part) => member(part, "text"))
        .filter((text) => typeof text === "string");
      return { type: "read", markdown: unfenced(text.join("")), isCut: end === "MAX_TOKENS" };
    },
  };
}
