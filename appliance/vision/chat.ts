import { member, misunderstood, postJson, type Post } from "./post.ts";

export type Chat = Pick<Post, "service" | "keyName" | "signal"> & {
  /** Ends before "/chat/completions": `http://127.0.0.1:11434/v1` is Ollama's. */
  readonly url: string;
  readonly model: string;
  readonly apiKey: string | undefined;
  readonly messages: readonly { readonly role: "system" | "user"; readonly content: unknown }[];
  readonly tokensMax: number;
};

/** `isCut`: it stopped at `tokensMax`, so its end is missing. */
export type Said =
  | { readonly type: "said"; readonly text: string; readonly isCut: boolean }
  | { readonly type: "refused"; readonly reason: string };

/** One answer of whatever speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, OpenAI and many others. Fails as `postJson` does. */
export async function chat({ service, keyName, url, model, apiKey, messages, tokensMax, signal }: Chat): Promise<Said> {
  const answer = await postJson({
    service,
    ...(keyName !== undefined && { keyName }),
    url: `${url.replace(/\/$/u, "")}/chat/completions`,
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    // The likeliest words: asked again it says about the same.
    body: { model, messages, temperature: 0, seed: 1, max_tokens: tokensMax, stream: false },
    signal,
  });
  const refusal = member(answer, "choices", 0, "message", "refusal");
  const end = member(answer, "choices", 0, "finish_reason");
  if (typeof refusal === "string" && refusal !== "") return { type: "refused", reason: refusal.slice(0, 200) };
  if (end === "content_filter") return { type: "refused", reason: "content filter" };
  const text = member(answer, "choices", 0, "message", "content");
  if (typeof text !== "string") throw misunderstood(service);
  return { type: "said", text, isCut: end === "length" };
}
