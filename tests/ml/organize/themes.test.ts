import assert from "node:assert/strict";
import { test } from "node:test";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { findThemes, joinTheme, profileOf, type Profile } from "../../../ml/organize/themes.ts";

const embedder = baselineEmbedder();
const profile = (id: string, text: string, language = "en"): Profile =>
  profileOf({ id, language, texts: [text], vectors: embedder.embed([text]) });

const bees = [
  "The hive gave honey.",
  "Honey from the second hive, the queen is marked.",
  "Bees left the hive; honey was poor.",
  "A new queen for the hive and its honey.",
];
const boats = [
  "Le bac quitte le quai à six heures.",
  "Le moteur du bac est réparé au quai.",
  "Horaires du bac et tarifs du quai.",
  "Le quai est fermé, le bac attend.",
];
const taxes = [
  "The tax office wants the return in May.",
  "Tax return: the office sent a reminder.",
  "A return to the tax office, with stamps.",
  "The office refunds tax after the return.",
];

const all = (): Profile[] => [
  ...bees.map((text, at) => profile(`bee${at}`, text)),
  ...boats.map((text, at) => profile(`boat${at}`, text, "fr")),
  ...taxes.map((text, at) => profile(`tax${at}`, text)),
];

test("documents about one thing share a theme that is named by their own words, in their language", () => {
  const { themes, of } = findThemes(all());
  for (const kind of ["bee", "boat", "tax"]) {
    const mine = new Set([0, 1, 2, 3].map((at) => of.get(`${kind}${at}`)));
    assert.equal(mine.size, 1, `${kind}: ${[...mine].join(" ")}`);
  }
  const labelOf = (id: string): string => themes.find((theme) => theme.id === of.get(id))?.label ?? "";
  assert.match(labelOf("bee0"), /hive/);
  assert.match(labelOf("boat0"), /quai/);
  assert.equal(themes.find((theme) => theme.id === of.get("boat0"))?.language, "fr");
});

test("the same documents give the same themes", () => {
  assert.deepEqual(findThemes(all()), findThemes(all()));
});

test("a new document joins the nearest theme, and one about something else joins none", () => {
  const { themes, of } = findThemes(all());
  assert.equal(joinTheme(themes, profile("new", "Honey of the old hive is dark."))?.id, of.get("bee0"));
  assert.equal(joinTheme(themes, profile("other", "Xylophone quartet rehearsal")), undefined);
});

test("a few documents have no themes, and none have none", () => {
  assert.deepEqual(findThemes(all().slice(0, 3)).themes, []);
  assert.deepEqual(findThemes([]).themes, []);
});
