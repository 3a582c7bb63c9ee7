import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../../appliance/config.ts";
import { openLanguageModel, writerOf } from "../../../appliance/languageModel/languageModel.ts";
import { languageModelContract } from "../../contracts/languageModel.ts";
import type { Seen } from "../../contracts/vision.ts";

languageModelContract({
  name: "chat completions",
  open: (url) => openLanguageModel({ url: `${url}/v1`, model: "some/model", apiKey: "secret-key" }),
  answers: {
    text: (content) => ({ choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }] }),
    cut: (content) => ({ choices: [{ message: { content }, finish_reason: "length" }] }),
    refused: { choices: [{ message: { content: null, refusal: "I cannot help with that." }, finish_reason: "stop" }] },
  },
  check: ({ path, headers, body }: Seen, { task, content, tokensMax }) => {
    assert.deepEqual([path, headers["authorization"]], ["/v1/chat/completions", "Bearer secret-key"]);
    const { model, messages, max_tokens: most, stream } = body as Record<string, unknown>;
    assert.deepEqual([model, most, stream], ["some/model", tokensMax, false]);
    assert.deepEqual(messages, [
      { role: "system", content: task },
      { role: "user", content },
    ]);
  },
});

test("only what is served on this machine itself is here", () => {
  const isHere = (url: string): boolean => openLanguageModel({ url, model: "m", apiKey: undefined }).isHere;
  const here = ["http://127.0.0.1:11434/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1", "http://127.1.2.3/v1"];
  const elsewhere = [
    "https://api.openai.com/v1",
    "http://192.168.1.4:11434/v1",
    "http://127.0.0.1.evil.com/v1",
    "http://0.0.0.0/v1",
  ];
  assert.deepEqual([here.every(isHere), elsewhere.some(isHere)], [true, false]);
  assert.equal(openLanguageModel({ url: here[0]!, model: "qwen3:8b", apiKey: undefined }).label, "qwen3:8b at 127.0.0.1");
});

test("there is one where an address and a model are set, with the key of the environment or of the secrets", async () => {
  const configOf = (environment: Record<string, string>) => loadConfig({ dataDir: "/nowhere" }, environment).languageModel;
  assert.equal(configOf({}), undefined);
  const NIKA_LLM_URL = "http://127.0.0.1:11434/v1/";
  assert.throws(() => configOf({ NIKA_LLM_URL }), /NIKA_LLM_MODEL must be set too/u);
  assert.throws(() => configOf({ NIKA_LLM_URL: "127.0.0.1", NIKA_LLM_MODEL: "m" }), /NIKA_LLM_URL must be/u);
  const config = configOf({ NIKA_LLM_URL, NIKA_LLM_MODEL: "m" });
  assert.deepEqual(config, { url: "http://127.0.0.1:11434/v1", model: "m", apiKey: undefined });
  const asked: string[] = [];
  const find = async (name: string): Promise<undefined> => void asked.push(name);
  const label = async (one: ReturnType<typeof configOf>): Promise<string | undefined> =>
    (await writerOf({ config: one, secrets: { find } }))?.label;
  assert.deepEqual(
    [await label(undefined), await label(config), await label({ ...config, apiKey: "k" })],
    [undefined, "m at 127.0.0.1", "m at 127.0.0.1"],
  );
  assert.deepEqual(asked, ["llm"]);
});
