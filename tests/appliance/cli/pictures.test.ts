import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PictureAnswer } from "../../../convex/model/answer.ts";
import type { Client } from "../../../appliance/cli/client.ts";
import { pictureLines, runPictures } from "../../../appliance/cli/pictures.ts";
import type { Terminal } from "../../../appliance/cli/terminal.ts";

const plain = { width: Number.POSITIVE_INFINITY, style: (_: unknown, text: string) => text };
const sight = {
  id: "v",
  label: "nika-visual-v1: words of the picture and its looks, not its meaning",
  seesMeaning: false,
  isInForce: true,
};
const answer: PictureAnswer = {
  question: "pump",
  pictures: [
    {
      pictureId: "p1",
      documentId: "d1",
      documentName: "papers/pump.pdf",
      title: "Pump",
      ordinal: 0,
      type: "figure",
      width: 40,
      height: 30,
      page: 2,
      caption: "Figure 1:\u001b[31m curve",
      text: "12 bar",
      passage: 4,
      placeLabel: "p. 2",
      score: 1,
      language: "en",
    },
  ],
  sight,
  tookMs: 3.2,
};

test("a picture is shown with its document and place, what is said of it, and the way to it", () => {
  assert.deepEqual(pictureLines(answer, plain), [
    "1. papers/pump.pdf · p. 2",
    "   Figure 1: [31m curve",
    "   12 bar",
    "   /pictures/p1 · nika open d1 --passage 4",
    "",
    "3 ms · nika-visual-v1: words of the picture and its looks, not its meaning",
  ]);
});

test("nothing found says what to do, and pictures of another model say how they are found", () => {
  assert.match(pictureLines({ ...answer, pictures: [] }, plain)[0] ?? "", /^No picture bears on this/);
  const other = { ...answer, sight: { ...sight, isInForce: false } };
  assert.match(pictureLines(other, plain).at(-1) ?? "", /found by their words alone/);
});

test("words or a file are sent, one of them and not both, and a file that cannot be had is said before anything is asked", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "nika-cli-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "a.png");
  writeFileSync(file, "bytes");
  const sent: unknown[] = [];
  const client = {
    token: async () => "t",
    post: async (path: string, { body }: { body: unknown }) => (sent.push([path, body]), answer),
  } as unknown as Client;
  const terminal = { ...plain, line: () => undefined, json: () => undefined } as unknown as Terminal;
  const run = (question: string, like?: string) =>
    runPictures(terminal, client, question, { limit: 3, json: true, ...(like !== undefined && { like }) });

  await assert.rejects(run(""), { code: "invalid" });
  await assert.rejects(run("pump", file), { code: "invalid" });
  await assert.rejects(run("", join(dir, "none.png")), { code: "missing" });
  await assert.rejects(run("", dir), { code: "invalid" });
  await run("pump");
  await run("", file);

  assert.deepEqual(sent, [
    ["/nika/pictures", { question: "pump", limit: 3 }],
    ["/nika/pictures", { image: Buffer.from("bytes").toString("base64"), limit: 3 }],
  ]);
});
