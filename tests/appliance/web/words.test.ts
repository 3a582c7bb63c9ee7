import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../../../appliance/web/language/en.ts";
import { fr } from "../../../appliance/web/language/fr.ts";
import { eventSentence } from "../../../appliance/web/language/eventSentence.ts";
import { sentenceOf, toFailure } from "../../../appliance/web/language/sentence.ts";
import { toLanguage } from "../../../appliance/web/language/choose.ts";

type Tree = { readonly [key: string]: string | Tree | ((...args: never[]) => string) };

/** Every sentence by its path; those with a value in them are said with samples. */
function sentences(tree: Tree, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    const at = `${path}${key}`;
    if (typeof value === "string") found.set(at, value);
    else if (typeof value === "function") found.set(at, (value as (...args: unknown[]) => string)(7, 9));
    else for (const [inner, text] of sentences(value, `${at}.`)) found.set(inner, text);
  }
  return found;
}

/** The same in both languages, and rightly so. */
const alike = new Set([
  "document.elementTypes.date",
  "document.elementTypes.iban",
  "document.elementTypes.siren",
  "document.elementTypes.siret",
  "document.elementTypes.angle",
  "navigation.documents",
  "navigation.gpu",
  "models.conditions",
  "gpu.perHour",
  "gpu.title",
  "navigation.bridge",
  "status.documents",
  "status.passages",
  "status.holds",
  "status.version",
  "ask.took",
  "secrets.title",
  "tools.took",
  "documents.title",
  "documents.pages",
  "documents.format",
  "formats.json",
  "functions.kinds.action",
  "formats.ipynb",
  "formats.vcf",
  "formats.archive",
  "formats.pdf",
  "formats.markdown",
  "settings.english",
  "settings.french",
]);

test("French says everything English says, and says it in French", () => {
  const [english, french] = [sentences(en), sentences(fr)];
  assert.deepEqual([...french.keys()], [...english.keys()]);
  for (const [path, text] of french) {
    assert.notEqual(text.trim(), "", path);
    if (!alike.has(path)) assert.notEqual(text, english.get(path), `${path} is English in both`);
  }
});

test("each language counts by its own rules: zero is plural in English and singular in French", () => {
  assert.equal(en.status.documents(0), "0 documents");
  assert.equal(fr.status.documents(0), "0 document");
  assert.equal(en.status.documents(1), "1 document");
  assert.equal(fr.status.documents(2), "2 documents");
});

test("French puts a space that does not break before its high punctuation", () => {
  for (const [path, text] of sentences(fr)) assert.doesNotMatch(text, / [?;!:»]|« /u, path);
});

test("an error is told by the appliance's own sentence in English and by its code's in French", () => {
  const failure = { code: "conflict", message: "This document has moved on since." };
  assert.equal(sentenceOf(failure, "en", en), "This document has moved on since.");
  assert.equal(sentenceOf(failure, "fr", fr), fr.errors.conflict);
  assert.equal(sentenceOf({ code: "never heard of", message: "" }, "en", en), en.errors.bug);
});

test("what was thrown is understood as Convex carries it, as HTTP carries it, and as a broken connection", () => {
  assert.deepEqual(toFailure({ data: { code: "missing", message: "There is no such document." } }), {
    code: "missing",
    message: "There is no such document.",
  });
  assert.equal(toFailure({ code: "timeout", message: "Too slow." }).code, "timeout");
  assert.equal(toFailure(new TypeError("Failed to fetch")).code, "unavailable");
  assert.equal(toFailure("anything else").code, "bug");
});

test("an event is told in French by its type and name, in English by its own sentence", () => {
  const ready = { type: "documentReady", name: "notes/a.txt", text: "notes/a.txt is ready." } as const;
  assert.equal(eventSentence(ready, "en", en), ready.text);
  assert.equal(eventSentence(ready, "fr", fr), "notes/a.txt est prêt.");
});

test("the language is the chosen one, else the browser's first that Nika speaks, else English", () => {
  assert.equal(toLanguage("fr", ["en-GB"]), "fr");
  assert.equal(toLanguage("auto", ["de-DE", "fr-CH", "en-GB"]), "fr");
  assert.equal(toLanguage("auto", ["de-DE", "frr"]), "en");
});
