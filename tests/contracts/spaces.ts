import assert from "node:assert/strict";
import { test } from "node:test";
import type { Space, Spaces as SpacesRecord } from "../../convex/model/generation.ts";
import { isNikaError } from "../../convex/model/error.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { Spaces } from "../../functions/ports/spaces.ts";
import type { PassagePoint, Vectors } from "../../functions/ports/vectors.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { indexed } from "../../ml/retrieve/terms.ts";

const never = new AbortController().signal;
const tenantId = "owner";

/** A vault whose record of spaces the exam writes itself. */
export type MovableVault = {
  readonly vectors: Vectors;
  readonly spaces: Spaces;
  /** Of the space in force at first, and of the one that the vault moves to. */
  readonly old: Embedder;
  readonly fresh: Embedder;
  /** What the control plane says. */
  readonly record: SpacesRecord;
};

const spaceOf = (collection: string, embedder: Embedder): Space => ({
  generationId: collection as Space["generationId"],
  collection,
  embedderId: embedder.id,
  dimensions: embedder.dimensions,
  fusion: { method: "ranks", k: 2, dense: 1, lexical: 2 },
});

async function put({ vectors, old }: MovableVault, documentId: string, texts: readonly string[]): Promise<void> {
  const made = texts.map((text) => textToEmbed({ title: documentId, place: {}, text }));
  const numbers = await old.passages(made, never);
  const passages = texts.map((text, ordinal): PassagePoint => ({
    documentId,
    ordinal,
    vector: numbers[ordinal]!,
    embedderId: old.id,
    ...indexed(made[ordinal]!),
    documentName: documentId,
    title: documentId,
    text,
    place: {},
    language: "en",
    format: "text",
  }));
  await vectors.replace({ tenantId, documentId }, passages, never);
}

/** The documents that a question finds by nearness alone, asked by the embedder of a generation. */
async function near({ vectors, old, fresh }: MovableVault, question: string, of?: Awaited<ReturnType<Vectors["generation"]>>) {
  const generation = of ?? (await vectors.generation());
  const embedder = generation.embedderId === fresh.id ? fresh : old;
  const branches = [{ name: "dense", weight: 1, vector: await embedder.query(question, never) }];
  const hits = await vectors.search({ tenantId, branches, limit: 1, generation }, never);
  return { text: hits[0]?.text, score: hits[0]?.branches[0]?.score ?? 0 };
}

async function begin(vault: MovableVault): Promise<Space> {
  const beside = spaceOf("nika_vault__g0002", vault.fresh);
  await vault.spaces.prepare(beside);
  Object.assign(vault.record, { beside });
  await vault.spaces.refresh();
  return beside;
}

async function copyAll({ spaces }: MovableVault): Promise<number> {
  let cursor: string | null = null;
  let copied = 0;
  do {
    const page: Awaited<ReturnType<Spaces["copy"]>> = await spaces.copy(cursor, never);
    cursor = page.cursor;
    copied += page.copied;
  } while (cursor !== null);
  return copied;
}

async function mendAll({ spaces }: MovableVault): Promise<number> {
  let cursor: string | null = null;
  let mended = 0;
  do {
    const page: Awaited<ReturnType<Spaces["compare"]>> = await spaces.compare(cursor, never);
    cursor = page.cursor;
    mended += page.mended;
  } while (cursor !== null);
  return mended;
}

/** What every vault promises that can be moved from one embedder to another. `open` gives an empty one. */
export function spacesContract(name: string, open: () => Promise<MovableVault>): void {
  test(`${name}: what was there is copied, what is written goes to both, and each space has its own embedder's vectors`, async () => {
    const vault = await open();
    const { vectors, spaces, record } = vault;
    await put(vault, "before", ["the pump at the quay", "the valve in the shed"]);
    await put(vault, "gone", ["a ledger nobody needs"]);
    const beside = await begin(vault);
    await put(vault, "while", ["the crane by the gate"]);
    await vectors.remove({ tenantId, documentId: "gone" });

    assert.ok((await copyAll(vault)) >= 3);

    assert.deepEqual(await spaces.sizes(), { live: 3, beside: 3 });
    assert.equal(await mendAll(vault), 0);
    assert.ok((await spaces.sample(never)) > 0.999);
    const earlier = await vectors.generation();
    assert.equal(earlier.embedderId, vault.old.id);
    Object.assign(record, { live: beside, beside: record.live });
    await spaces.refresh();
    const asked = "before\nthe valve in the shed";
    const now = await near(vault, asked);
    const then = await near(vault, asked, earlier);
    assert.deepEqual([now.text, then.text], ["the valve in the shed", "the valve in the shed"]);
    assert.ok(now.score > 0.999 && then.score > 0.999, "each side is asked in its own space");
    assert.equal((await vectors.generation()).embedderId, vault.fresh.id);
    await put(vault, "after", ["the ferry at noon"]);
    assert.deepEqual(await spaces.sizes(), { live: 4, beside: 4 });
    assert.equal((await near(vault, "after\nthe ferry at noon", earlier)).text, "the ferry at noon");
  });

  test(`${name}: what differs between the two is found and put right`, async () => {
    const vault = await open();
    const { vectors, spaces, record } = vault;
    await put(vault, "a", ["one", "two"]);
    await put(vault, "b", ["three"]);
    const beside = await begin(vault);
    await copyAll(vault);
    // Written by somebody who knew of one space only.
    Object.assign(record, { beside: null });
    await spaces.refresh();
    await vectors.label({ tenantId, documentId: "a" }, { domain: "boats" });
    await vectors.remove({ tenantId, documentId: "b" });
    await put(vault, "c", ["four"]);
    Object.assign(record, { beside });
    await spaces.refresh();

    assert.equal(await mendAll(vault), 4);

    assert.equal(await mendAll(vault), 0);
    assert.deepEqual(await spaces.sizes(), { live: 3, beside: 3 });
    assert.ok((await spaces.sample(never)) > 0.999);
  });

  test(`${name}: a space is dropped when it is not in use, and only then`, async () => {
    const vault = await open();
    const { spaces, record } = vault;
    await put(vault, "a", ["one"]);
    const { collection } = await begin(vault);
    const isConflict = (error: unknown): boolean => isNikaError(error) && error.code === "conflict";
    await assert.rejects(spaces.drop(collection), isConflict);
    Object.assign(record, { beside: null });

    await spaces.drop(collection);
    await spaces.drop(collection);

    await assert.rejects(spaces.copy(null, never), isConflict);
    assert.equal((await near(vault, "a\none")).text, "one");
  });
}
