import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ocr, OcrText } from "../../../functions/ports/ocr.ts";
import type { VisionReading } from "../../../functions/ports/vision.ts";
import { claudeVision } from "../../../appliance/vision/claude.ts";
import { geminiVision } from "../../../appliance/vision/gemini.ts";
import { groundedBlocks, openaiVision } from "../../../appliance/vision/openai.ts";
import { agreement, withVision } from "../../../appliance/vision/vision.ts";
import { visionContract, type Seen } from "../../contracts/vision.ts";

const apiKey = "secret-key";
const picture = "AQIDBA==";

visionContract({
  name: "openai",
  open: (url) => openaiVision({ url: `${url}/v1`, model: "some/model", apiKey }),
  answers: {
    text: (content) => ({ choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }] }),
    cut: (content) => ({ choices: [{ message: { content }, finish_reason: "length" }] }),
    refused: { choices: [{ message: { content: null, refusal: "I cannot help with that." }, finish_reason: "stop" }] },
  },
  check: ({ path, headers, body }: Seen) => {
    const { model, messages } = body as { model: string; messages: { role: string; content: Record<string, unknown>[] }[] };
    assert.deepEqual([path, headers["authorization"], model], ["/v1/chat/completions", "Bearer secret-key", "some/model"]);
    assert.deepEqual(messages[0]?.content[0], { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } });
  },
});

visionContract({
  name: "gemini",
  open: (url) => geminiVision({ url: `${url}/v1beta`, model: "gemini-x", apiKey }),
  answers: {
    text: (text) => ({ candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason: "STOP" }] }),
    cut: (text) => ({ candidates: [{ content: { parts: [{ text }] }, finishReason: "MAX_TOKENS" }] }),
    refused: { promptFeedback: { blockReason: "SAFETY" } },
  },
  check: ({ path, headers, body }: Seen) => {
    const { contents } = body as { contents: { parts: unknown[] }[] };
    assert.deepEqual([path, headers["x-goog-api-key"]], ["/v1beta/models/gemini-x:generateContent", apiKey]);
    assert.deepEqual(contents[0]?.parts[0], { inline_data: { mime_type: "image/png", data: picture } });
  },
});

visionContract({
  name: "claude",
  open: (url) => claudeVision({ url: `${url}/v1`, model: "claude-x", apiKey }),
  answers: {
    text: (text) => ({ type: "message", content: [{ type: "text", text }], stop_reason: "end_turn" }),
    cut: (text) => ({ type: "message", content: [{ type: "text", text }], stop_reason: "max_tokens" }),
    refused: { type: "message", content: [], stop_reason: "refusal" },
  },
  check: ({ path, headers, body }: Seen) => {
    const { model, messages, max_tokens } = body as { model: string; max_tokens: number; messages: { content: unknown[] }[] };
    assert.deepEqual(
      [path, headers["x-api-key"], headers["anthropic-version"], model],
      ["/v1/messages", apiKey, "2023-06-01", "claude-x"],
    );
    assert.ok(max_tokens > 0);
    assert.deepEqual(messages[0]?.content[0], {
      type: "image",
      source: { type: "base64", media_type: "image/png", data: picture },
    });
  },
});

test("the places DeepSeek-OCR tells are fractions of the picture", () => {
  const text =
    "<|ref|>title<|/ref|><|det|>[[99, 0, 999, 99]]<|/det|>\n# Bail\n\n<|ref|>text<|/ref|><|det|>[[0, 111, 999, 222]]<|/det|>\n640 euros";
  const blocks = groundedBlocks(text).map(({ text, box }) => [
    text,
    Math.round(box.left * 100),
    Math.round(box.top * 100),
    Math.round(box.height * 100),
  ]);

  assert.deepEqual(blocks, [
    ["# Bail", 10, 0, 10],
    ["640 euros", 0, 11, 11],
  ]);
  assert.deepEqual(groundedBlocks("<|ref|>a<|/ref|><|det|>[[5, 5, 1, 1]]<|/det|> nothing"), []);
});

const box = { left: 0, top: 0, width: 1, height: 1 };
const recognised: OcrText = {
  lines: [
    {
      words: ["Loyer", "640", "euros", "xq"].map((text, at) => ({ text, confidence: at === 3 ? 20 : 90, box })),
      box,
      paragraph: 0,
    },
  ],
  confidence: 80,
};
const ocr: Ocr = { label: "recogniser", read: async () => recognised, close: async () => {} };
const page = { bytes: new Uint8Array(1), mediaType: "image/png" as const, width: 10, height: 10, type: "page" as const };
const read = async (seen: VisionReading, type: "page" | "figure" = "page"): Promise<OcrText | undefined> =>
  await withVision({ vision: { label: "model", read: async () => seen }, ocr }).read(
    { ...page, type },
    AbortSignal.timeout(1_000),
  );

test("a model's page counts as sure as the recogniser's words agree with it", async () => {
  assert.deepEqual(await read({ type: "read", markdown: "# Loyer\n\n640 euros", isCut: false }), {
    lines: [],
    markdown: "# Loyer\n\n640 euros",
    confidence: 100,
  });
  assert.equal((await read({ type: "read", markdown: "Loyer : 460 euros", isCut: false }))?.confidence, 67);
  assert.equal(agreement("anything", undefined), 0);
});

test("where a model refuses, stops half-way or sees nothing, the recogniser's text stands; figures are its own", async () => {
  assert.equal(await read({ type: "refused", reason: "no" }), recognised);
  assert.equal(await read({ type: "read", markdown: "half", isCut: true }), recognised);
  assert.equal(await read({ type: "read", markdown: " ", isCut: false }), recognised);
  assert.equal(await read({ type: "read", markdown: "# Loyer", isCut: false }, "figure"), recognised);
});
