import type { VisionModel } from "../../functions/ports/vision.ts";
import type { ModelOptions } from "./openai.ts";
import { member, misunderstood, postJson, readingPrompt, unfenced } from "./post.ts";

const service = "Claude";
export const claudeUrl = "https://api.anthropic.com/v1";

/** Anthropic's messages. */
export function claudeVision({ url, model, apiKey }: ModelOptions): VisionModel {
  return {
    label: `claude (${model})`,
    read: async ({ bytes, mediaType }, signal) => {
      const source = { type: "base64", media_type: mediaType, data: Buffer.from(bytes).toString("base64") };
      const content = [
        { type: "image", source },
        { type: "text", text: readingPrompt },
      ];
      const answer = await postJson({
        service,
        url: `${url.replace(/\/$/u, "")}/messages`,
        headers: { "anthropic-version": "2023-06-01", ...(apiKey !== undefined && { "x-api-key": apiKey }) },
        body: { model, max_tokens: 8_192, messages: [{ role: "user", content }] },
        signal,
      });
      const end = member(answer, "stop_reason");
      if (end === "refusal") return { type: "refused", reason: "refusal" };
      const parts = member(answer, "content");
      if (!Array.isArray(parts)) throw misunderstood(service);
      const text = parts.filter((part) => member(part, "type") === "text").map((part) => member(part, "text"));
      return {
        type: "read",
        markdown: unfenced(text.filter((text) => typeof text === "string").join("")),
        isCut: end === "max_tokens",
      };
    },
  };
}
