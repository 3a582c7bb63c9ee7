import assert from "node:assert/strict";
import { test } from "node:test";
import type { PictureBranch, PicturePoint, PictureVectors } from "../../functions/ports/pictures.ts";
import { visualDimensions } from "../../functions/ports/visual.ts";

const never = new AbortController().signal;
const tenantId = "owner";

const axis = (size: number, at: number): Float32Array => {
  const vector = new Float32Array(size);
  vector[at] = 1;
  return vector;
};
export const seen = (at: number): Float32Array => axis(visualDimensions, at);
export const told = (at: number): Float32Array => axis(384, at);

export function picture(documentId: string, ordinal: number, changes: Partial<PicturePoint> = {}): PicturePoint {
  return {
    documentId,
    ordinal,
    pictureId: `row-${documentId}-${ordinal}`,
    documentName: `${documentId}.pdf`,
    title: `About ${documentId}`,
    type: "figure",
    width: 40,
    height: 30,
    language: "en",
    format: "pdf",
    mark: `mark ${ordinal}`,
    made: { terms: { indices: [1, 1_000 + ordinal], values: [1, 1] }, visual: seen(ordinal), caption: told(ordinal) },
    ...changes,
  };
}

export const byLooks = (at: number): PictureBranch[] => [{ name: "picture", weight: 1, visual: seen(at) }];
export const byWords = (...indices: number[]): PictureBranch[] => [
  { name: "words", weight: 1, terms: { indices, values: indices.map(() => 1) } },
];

const ordinals = async (
  vectors: PictureVectors,
  branches: readonly PictureBranch[],
  more: { tenantId?: string } = {},
): Promise<string[]> =>
  (await vectors.search({ tenantId, branches, limit: 50, ...more }, never)).map((hit) => `${hit.documentId} ${hit.ordinal}`);

/** What every store of pictures promises. `open` gives an empty one whose spaces are in force. */
export function picturesContract(name: string, open: () => Promise<PictureVectors>): void {
  test(`${name}: a picture comes back as it was put in, by its looks, its caption and its words`, async () => {
    const vectors = await open();
    const put = picture("report", 0, {
      page: 3,
      box: { left: 0.1, top: 0.2, width: 0.3, height: 0.4 },
      headings: ["Sales", "2024"],
      caption: "Figure 2: sales",
      text: "Jan 12 Feb 14",
      passage: 7,
      author: "Ada Lorne",
      people: ["Basil Thirkell"],
      writtenAt: 1_700_000_000_000,
      sha256: "ab",
      entityType: "report",
      domain: "boats",
      scope: "team",
    });
    await vectors.replace({ tenantId, documentId: "report" }, [put], never);

    const { mark: _m, made: _v, ...wanted } = put;
    for (const branches of [byLooks(0), byWords(1_000), [{ name: "caption", weight: 1, caption: told(0) }]]) {
      const [hit] = await vectors.search({ tenantId, branches, limit: 1 }, never);
      const { score: _s, branches: ranks, ...found } = hit!;
      assert.deepEqual(found, wanted);
      assert.deepEqual(
        ranks.map(({ rank }) => rank),
        [1],
      );
    }
  });

  test(`${name}: replacing keeps what is known under the same mark and leaves nothing of an earlier reading behind`, async () => {
    const vectors = await open();
    const key = { tenantId, documentId: "report" };
    await vectors.replace(key, [picture("report", 0), picture("report", 1), picture("report", 2)], never);
    assert.deepEqual(await vectors.marks(key, never), new Map([0, 1, 2].map((at) => [at, `mark ${at}`])));

    const { made: _, ...kept } = picture("report", 1, { caption: "renamed" });
    await vectors.replace(key, [kept, picture("report", 2, { mark: "new" })], never);

    assert.equal(await vectors.count({ tenantId }), 2);
    const [hit] = await vectors.search({ tenantId, branches: byLooks(1), limit: 1 }, never);
    assert.deepEqual([hit?.ordinal, hit?.caption], [1, "renamed"]);
    assert.deepEqual(await vectors.marks(key, never), new Map([[1, "mark 1"], [2, "new"]])); // prettier-ignore

    await vectors.replace(key, [], never);
    assert.equal(await vectors.count({ tenantId }), 0);
  });

  test(`${name}: pictures that nobody looked at are told, and what is seen later is added to them`, async () => {
    const vectors = await open();
    const key = { tenantId, documentId: "report" };
    const terms = { indices: [1], values: [1] };
    const unseen = picture("report", 1, { mark: "", made: { terms, caption: told(5) }, caption: "Figure 1" });
    await vectors.replace(key, [picture("report", 0), unseen, picture("report", 2, { mark: "", made: { terms } })], never);
    assert.deepEqual(
      (await vectors.unseen(key, never)).map(({ ordinal }) => ordinal).toSorted((a, b) => a - b),
      [1, 2],
    );
    assert.deepEqual(await vectors.unseen({ tenantId: "other", documentId: "report" }, never), []);

    await assert.rejects(vectors.see({ ...key, tenantId: "other" }, [{ ordinal: 1, mark: "m", visual: seen(9) }], never));
    await vectors.see(
      key,
      [
        { ordinal: 1, mark: "m", visual: seen(9) },
        { ordinal: 2, mark: "broken" },
      ],
      never,
    );

    assert.deepEqual(await vectors.unseen(key, never), []);
    const [hit] = await vectors.search({ tenantId, branches: byLooks(9), limit: 1 }, never);
    assert.deepEqual([hit?.ordinal, hit?.caption], [1, "Figure 1"]);
    const byCaption = [{ name: "caption", weight: 1, caption: told(5) }];
    assert.equal(
      (await vectors.search({ tenantId, branches: byCaption, limit: 1 }, never))[0]?.ordinal,
      1,
      "the rest of it stays",
    );
  });

  test(`${name}: what the owner has not accepted is kept, and found only when it is let go`, async () => {
    const vectors = await open();
    const hold = { batchId: "b1", folder: "" };
    await vectors.replace({ tenantId, documentId: "a" }, [picture("a", 0, { hold })], never);
    await vectors.replace({ tenantId, documentId: "b" }, [picture("b", 0, { hold: { ...hold, batchId: "b2" } })], never);
    assert.deepEqual(await ordinals(vectors, byWords(1)), []);
    assert.equal(await vectors.count({ tenantId }), 2);

    await vectors.release({ tenantId: "other", batchId: "b1" });
    assert.deepEqual(await ordinals(vectors, byWords(1)), []);
    await vectors.release({ tenantId, batchId: "b1" });
    await vectors.discard({ tenantId, batchId: "b2" });

    assert.deepEqual(await ordinals(vectors, byWords(1)), ["a 0"]);
    assert.equal(await vectors.count({ tenantId }), 1);
  });

  test(`${name}: labels and filters go by the picture's document`, async () => {
    const vectors = await open();
    for (const id of ["a", "b"]) await vectors.replace({ tenantId, documentId: id }, [picture(id, 0)], never);
    await vectors.label({ tenantId, documentId: "b" }, { entityType: "manual" });
    const found = await vectors.search({ tenantId, branches: byWords(1), filter: { types: ["manual"] }, limit: 5 }, never);
    assert.deepEqual(
      found.map(({ documentId, entityType }) => [documentId, entityType]),
      [["b", "manual"]],
    );
    await vectors.remove({ tenantId, documentId: "b" });
    assert.deepEqual(await ordinals(vectors, byWords(1)), ["a 0"]);
  });

  test(`${name}: no call sees or touches another tenant's pictures`, async () => {
    const vectors = await open();
    const tenants = ["ada", "basil", "clara"];
    for (const tenant of tenants)
      await vectors.replace(
        { tenantId: tenant, documentId: "report" },
        [0, 1].map((at) => picture("report", at, { caption: `of ${tenant}` })),
        never,
      );
    for (const tenant of ["nobody", "", "ada'", "*", "ada"]) {
      const mine = { tenantId: tenant, documentId: "report" };
      const isKnown = tenants.includes(tenant);
      for (const branches of [byLooks(0), byLooks(1), byWords(1), byWords(1_000, 1_001), [...byLooks(0), ...byWords(1)]])
        for (const filter of [{}, { documentIds: ["report"] }, { kinds: ["figure"] }, { languages: ["en"], formats: ["pdf"] }]) {
          const hits = await vectors.search({ tenantId: tenant, branches, filter, limit: 50 }, never);
          assert.equal(hits.length > 0, isKnown, `${tenant} ${JSON.stringify(filter)}`);
          for (const { caption } of hits) assert.equal(caption, `of ${tenant}`);
        }
      assert.equal((await vectors.marks(mine, never)).size, isKnown ? 2 : 0);
      assert.equal(await vectors.count({ tenantId: tenant }), isKnown ? 2 : 0);
      if (isKnown) continue;
      await vectors.label(mine, { domain: "stolen" });
      await vectors.remove(mine);
      await vectors.replace(mine, [], never);
      await vectors.discard({ tenantId: tenant, batchId: "" });
    }
    for (const tenant of tenants) {
      const hits = await vectors.search({ tenantId: tenant, branches: byWords(1), limit: 50 }, never);
      assert.equal(hits.length, 2);
      for (const { domain = "general" } of hits) assert.equal(domain, "general");
    }
  });

  test(`${name}: who gives up is told so`, async () => {
    const vectors = await open();
    const gone = AbortSignal.abort();
    await assert.rejects(vectors.replace({ tenantId, documentId: "a" }, [], gone), { code: "cancelled" });
    await assert.rejects(vectors.search({ tenantId, branches: byWords(1), limit: 5 }, gone), { code: "cancelled" });
  });
}
