import { isIP } from "node:net";
import type { LanguageModel } from "../../functions/ports/languageModel.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import { member, misunderstood, postJson } from "../vision/post.ts";

/** `url` ends before "/chat/completions": `http://127.0.0.1:11434/v1` is Ollama's. */
export type LanguageModelConfig = { readonly url: string; readonly model: string; readonly apiKey: string | undefined };

/** The one the owner configured, with the key that is kept among the secrets. */
export async function writerOf({
  config,
  secrets,
}: {
  readonly config: LanguageModelConfig | undefined;
  readonly secrets: Pick<Secrets, "find">;
}): Promise<LanguageModel | undefined> {
  return config && openLanguageModel({ ...config, apiKey: config.apiKey ?? (await secrets.find("llm", "language model")) });
}

const service = "The language model";

/** Any server that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, OpenAI and many others. */
export function openLanguageModel({ url, model, apiKey }: LanguageModelConfig): LanguageModel {
  const { hostname } = new URL(url);
  return {
    label: `${model} at ${hostname}`,
    isHere: isLoopback(hostname),
    write: async ({ task, content, tokensMax }, signal) => {
      const answer = await postJson({
        service,
        keyName: "NIKA_LLM_KEY",
        url: `${url.replace(/\/$/u, "")}/chat/completions`,
        headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
        body: {
          model,
          messages: [
            { role: "system", content: task },
            { role: "user", content },
          ],
          // The likeliest words: asked again it says about the same.
          temperature: 0,
          seed: 1,
          max_tokens: tokensMax,
          stream: false,
        },
        signal,
      });
      const refusal = member(answer, "choices", 0, "message", "refusal");
      const end = member(answer, "choices", 0, "finish_reason");
      if (typeof refusal === "string" && refusal !== "") return { type: "refused", reason: refusal.slice(0, 200) };
      if (end === "content_filter") return { type: "refused", reason: "content filter" };
      const text = member(answer, "choices", 0, "message", "content");
      if (typeof text !== "string") throw misunderstood(service);
      return { type: "written", text, isCut: end === "length" };
    },
  };
}

/** Of what a URL calls a host: nothing that is sent there leaves the machine. */
function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/gu, "");
  if (isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "::1" || bare === "localhost";
}
