import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openDescriptor } from "../../../appliance/embedder/visual.ts";
import { qdrantPictures } from "../../../appliance/qdrant/pictures.ts";
import { NikaError } from "../../../convex/model/error.ts";
import { wordsOf } from "../../../functions/documents/embedPictures.ts";
import { askVault } from "../../../functions/vault/ask.ts";
import { searchPictures } from "../../../functions/vault/pictures.ts";
import { baselineEmbedder } from "../../../ml/embed/baseline.ts";
import { documentTerms } from "../../../ml/retrieve/terms.ts";
import { apiKey, openStore } from "../../appliance/vectors/openStore.ts";
import { picture } from "../../contracts/pictures.ts";
import { fakeVectors } from "../../fakes/vectors.ts";
import { gallery } from "../../fixtures/gallery.ts";
import { drawn } from "../../fixtures/makePictures.ts";

const never = new AbortController().signal;
const tenantId = "owner";
const baseline = baselineEmbedder();
const embedder = {
  ...baseline,
  isBaseline: true,
  passages: async (texts: readonly string[]) => baseline.embed(texts),
  query: async (text: string) => baseline.embed([text])[0]!,
};
const visual = openDescriptor();
const store = await openStore();
after(async () => {
  await visual.close();
  await store[Symbol.asyncDispose]();
});
const pictures = qdrantPictures({ url: store.url, apiKey, visualId: visual.id, captionId: baseline.id, captionDimensions: 384 });
const ports = { embedder, visual, pictures };

const seen = gallery.map((one) => ({ ...one, words: wordsOf(one, { title: one.title, headings: [one.heading] }) }));
const bytes = await Promise.all(seen.map((one) => drawn(one)));
const looks = await visual.images(
  seen.map(({ words }, at) => ({ bytes: bytes[at]!, words })),
  never,
);
const captions = baseline.embed(seen.map(({ words }) => words));
for (const [at, { id, title, heading, caption, text, language, words }] of seen.entries()) {
  const made = { terms: documentTerms(words), visual: looks[at]!, caption: captions[at]! };
  const said = {
    ...(caption !== "" && { caption }),
    ...(text !== "" && { text }),
    ...(heading !== "" && { headings: [heading] }),
  };
  const put = picture(id, 0, { title, language, made, passage: 3, page: 2, ...said });
  await pictures.replace({ tenantId, documentId: id }, [put], never);
}

const ask = async (question: string, more: object = {}): Promise<string[]> =>
  (await searchPictures.run({ tenantId, question, limit: 5, ...more }, ports, never)).pictures.map(
    ({ documentId }) => documentId,
  );

test("a question in words finds the picture that answers it, in English and French", async () => {
  const ranks: number[] = [];
  for (const { id, questions } of gallery) for (const question of questions) ranks.push((await ask(question)).indexOf(id));
  const share = (k: number): number => ranks.filter((rank) => rank !== -1 && rank < k).length / ranks.length;
  assert.ok(gallery.length >= 60 && ranks.length >= 100);
  // Measured 2026-11 with the offline parts alone; `npm run bench -- pictures` prints the figures.
  assert.ok(share(1) > 0.6, `Recall@1 ${share(1)}`);
  assert.ok(share(5) > 0.8, `Recall@5 ${share(5)}`);
});

test("a picture asked with finds itself made smaller, and what is no picture is unreadable", async () => {
  const at = gallery.findIndex(({ type }) => type === "plan");
  const like = { bytes: await drawn({ ...gallery[at]!, size: 90 }), words: "" };
  const { pictures: found, question } = await searchPictures.run({ tenantId, like, limit: 3 }, ports, never);
  assert.equal(found[0]?.documentId, gallery[at]!.id);
  assert.equal(question, undefined);
  const broken = { bytes: new Uint8Array([1]), words: "" };
  await assert.rejects(searchPictures.run({ tenantId, like: broken, limit: 3 }, ports, never), { code: "unreadable" });
});

test("an answer says where each picture stands, what it was found with, and what that is worth", async () => {
  const answer = await searchPictures.run({ tenantId, question: "drawing DW-1042", limit: 1, explain: true }, ports, never);
  const [hit] = answer.pictures;
  assert.equal(hit?.title, "Drawing DW-1042");
  assert.deepEqual([hit?.page, hit?.passage, hit?.placeLabel], [2, 3, "p. 2 · Bracket"]);
  assert.ok(hit?.branches?.some(({ name, rank }) => name === "words" && rank === 1));
  assert.deepEqual([answer.sight.seesMeaning, answer.sight.isInForce], [false, true]);
  assert.match(answer.sight.label, /words of the picture and its looks, not its meaning/);
});

test("what no picture shows finds none, filters are kept to, and bad questions are refused", async () => {
  assert.deepEqual(await ask("quantum chromodynamics lecture"), []);
  assert.deepEqual(await ask("chart of turnover for each quarter", { filter: { languages: ["fr"], documentIds: ["p0"] } }), []);
  await assert.rejects(ask("  "), { code: "invalid" });
  await assert.rejects(ask("x", { limit: 0 }), { code: "invalid" });
});

test("no call with another tenant's id finds a picture, whatever it is asked with", async () => {
  for (const tenant of ["", "other", "*", "owner'"]) {
    for (const { questions } of gallery.slice(0, 20))
      for (const question of questions) {
        const { pictures: found } = await searchPictures.run(
          { tenantId: tenant, question, limit: 50, explain: true },
          ports,
          never,
        );
        assert.deepEqual(found, []);
      }
    const like = { bytes: bytes[0]!, words: "" };
    assert.deepEqual((await searchPictures.run({ tenantId: tenant, like, limit: 50 }, ports, never)).pictures, []);
  }
});

test("`ask` brings pictures along, and goes without them when they cannot be had", async () => {
  const question = { tenantId, question: "drawing DW-1042", limit: 3 };
  const vectors = fakeVectors();
  const answer = await askVault.run(question, { ...ports, vectors }, never);
  assert.equal(answer.pictures?.[0]?.title, "Drawing DW-1042");

  const down = { ...pictures, spaces: async () => Promise.reject(new NikaError("unavailable", "down")) };
  for (const without of [
    { embedder, vectors },
    { embedder, vectors, visual, pictures: down },
  ]) {
    const bare = await askVault.run(question, without, never);
    assert.deepEqual([bare.passages, bare.pictures, bare.sight], [[], undefined, undefined]);
  }
});

test("pictures of another model are found by their words, and not asked for by their looks", async () => {
  const other = qdrantPictures({ url: store.url, apiKey, visualId: "another", captionId: baseline.id, captionDimensions: 384 });
  const eyes = { ...visual, id: "another", seesMeaning: true };
  const { pictures: found, sight } = await searchPictures.run(
    { tenantId, question: "drawing DW-1042", limit: 1 },
    { embedder, visual: eyes, pictures: other },
    never,
  );
  assert.equal(found[0]?.title, "Drawing DW-1042");
  assert.equal(sight.isInForce, false);
  const like = { bytes: bytes[0]!, words: "" };
  await assert.rejects(searchPictures.run({ tenantId, like, limit: 3 }, { embedder, visual: eyes, pictures: other }, never), {
    code: "conflict",
  });
});
