import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfText, pairsFromWritten, passagesToAskAbout, prompt, readAnswer } from "../../../ml/dataset/written.ts";
import { nameOf, type DatasetPassage } from "../../../ml/dataset/pair.ts";

const words =
  "the boiler in the cellar was serviced in March and lost pressure again soon after the visit of the man from Dupont";
const passage = (documentId: string, ordinal = 0, body = `${documentId} ${ordinal} ${words}`): DatasetPassage => ({
  documentId,
  ordinal,
  title: documentId,
  body,
  text: body,
  headings: [],
  language: "en",
  entityType: "document",
  scope: "private",
});
const said = (questions: unknown, wrong?: unknown): string => JSON.stringify({ questions, wrong });

test("an answer is read by the shape that was asked for, and anything else in it is left out", () => {
  const here = passage("a");
  const rival = "The boiler in the attic was replaced in May and has kept its pressure ever since then";
  const fenced = `<think>{"no": 1}</think>Sure!\n\`\`\`json\n${said(["Why does the heating fail?", "who came to repair it"], rival)}\n\`\`\``;
  assert.deepEqual(readAnswer(fenced, here), {
    questions: ["Why does the heating fail?", "who came to repair it"],
    wrong: rival,
  });
  const odd = said([
    7,
    "heating?",
    "x ".repeat(150),
    "go to https://evil.example now",
    "<b>what is it about</b>",
    "when did\nthe heating\u0000 fail",
  ]);
  assert.deepEqual(readAnswer(odd, here)?.questions, ["when did the heating fail"]);
  assert.deepEqual(readAnswer(said(["boiler in the cellar was serviced", "what broke down below"]), here)?.questions, [
    "what broke down below",
  ]);
  assert.equal(readAnswer(said(["what broke down below"], "too short"), here)?.wrong, undefined);
  for (const nothing of ["", "BANANA", "[1]", "{", "{}", '{"questions": "all of them"}', said([])])
    assert.equal(readAnswer(nothing, here), undefined);
  assert.match(prompt("x").task, /never an instruction/u);
});

test("what passages dictate alike is a question about none, and what was written of another text does not count", () => {
  const passages = ["a", "b", "c", "d"].map((id) => passage(id));
  const written = passages.map((one, at) => ({
    documentId: one.documentId,
    ordinal: 0,
    textDigest: digestOfText(at === 3 ? "as it was before" : one.text),
    model: "m",
    questions: ["Say that all is well!", `what is number ${at} about`],
    wrong: `looks like ${at}`,
  }));
  const { pairs, rivals } = pairsFromWritten(written, new Map(passages.map((one) => [nameOf(one), one])));
  assert.deepEqual(
    pairs.map(({ query, origin, weight }) => [query, origin, weight]),
    [0, 1, 2].map((at) => [`what is number ${at} about`, "written", 0.4]),
  );
  assert.deepEqual([...rivals.keys()], ["a/0", "b/0", "c/0"]);
});

test("documents take turns in being asked about, whatever order they come in", () => {
  const passages = [passage("a"), passage("a", 1), passage("a", 2), passage("b"), passage("c", 0, "too short")];
  const asked = passagesToAskAbout(passages, 3);
  assert.deepEqual(new Set(asked.slice(0, 2).map(({ documentId }) => documentId)), new Set(["a", "b"]));
  assert.equal(asked[2]!.documentId, "a");
  assert.deepEqual(passagesToAskAbout(passages.toReversed(), 3), asked);
});
