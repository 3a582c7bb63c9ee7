import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openOcr } from "../../../appliance/ocr/ocr.ts";

const signal = AbortSignal.timeout(60_000);
const page = { bytes: new Uint8Array(9), mediaType: "image/png", width: 100, height: 100, type: "page" } as const;

const tsv = (confidence: number, text: string): string =>
  text
    .split(" ")
    .map((word, at) => `5\t1\t1\t1\t1\t${at}\t1\t1\t5\t5\t${confidence}\t${word}`)
    .join("\\n");

/** A program that answers as Tesseract does, each reading by the languages it is asked for, and notes what it was asked. */
function program(context: TestContext, answers: Readonly<Record<string, string>>, installed: readonly string[]) {
  const dir = mkdtempSync(join(tmpdir(), "nika-test-"));
  context.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "tesseract");
  const asked = join(dir, "asked");
  const cases = Object.entries(answers).map(([languages, answer]) => `${languages}) printf '%b' '${answer}';;`);
  writeFileSync(asked, "");
  writeFileSync(
    path,
    `#!/bin/sh
case "$1" in --version) echo 'tesseract 5.3.0'; exit;; --list-langs) printf 'List\\n${installed.join("\\n")}\\n'; exit;; esac
while read -r line; do :; done
echo "$4" >> '${asked}'
case "$4" in ${cases.join(" ")} esac
`,
  );
  chmodSync(path, 0o755);
  const ocr = openOcr({ build: "native", paths: [path] });
  return { ocr, asked: () => readFileSync(asked, "utf8").trim().split("\n") };
}

const german = "der Vertrag ist nicht gekündigt und wird mit dem Jahr auf ein weiteres verlängert";

test("a page in another installed language is read again in that language, and the surer reading stays", async (context) => {
  const answers = { "fra+eng": tsv(72, german), deu: tsv(94, german) };
  const { ocr, asked } = program(context, answers, ["fra", "eng", "deu"]);

  const found = await ocr.read(page, signal);

  assert.deepEqual([found?.confidence, asked()], [94, ["fra+eng", "deu"]]);
});

test("a page is read once in a language that was asked for, or that is not installed", async (context) => {
  const english = program(context, { "fra+eng": tsv(80, "the water was cold and you have not been with this") }, [
    "fra",
    "eng",
    "deu",
  ]);
  await english.ocr.read(page, signal);
  assert.deepEqual(english.asked(), ["fra+eng"]);

  const foreign = program(context, { "fra+eng": tsv(72, german) }, ["fra", "eng"]);
  assert.equal((await foreign.ocr.read(page, signal))?.confidence, 72);
  assert.deepEqual(foreign.asked(), ["fra+eng"]);
});

test("noise may be another script: what is installed for it is tried", async (context) => {
  const answers = {
    "fra+eng": tsv(20, "Ao ror Bepa"),
    osd: "Orientation: 0\\nScript: Cyrillic\\n",
    "rus+ukr": tsv(91, "договор аренды"),
  };
  const { ocr, asked } = program(context, answers, ["fra", "eng", "osd", "rus", "ukr"]);

  const found = await ocr.read(page, signal);

  assert.deepEqual(asked(), ["fra+eng", "osd", "rus+ukr"]);
  assert.equal(found?.lines[0]?.words[0]?.text, "договор");
});
