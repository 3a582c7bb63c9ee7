import { isIP } from "node:net";
import type { LanguageModel } from "../../functions/ports/languageModel.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import { chat } from "../vision/chat.ts";

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
      const messages = [
        { role: "system", content: task },
        { role: "user", content },
      ] as const;
      const said = await chat({ service, keyName: "NIKA_LLM_KEY", url, model, apiKey, messages, tokensMax, signal });
      return said.type === "refused" ? said : { ...said, type: "written" };
    },
  };
}

/** Of what a URL calls a host: nothing that is sent there leaves the machine. */
function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/gu, "");
  if (isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "::1" || bare === "localhost";
}
