/** The vault's move to another embedder: filling a second collection beside the one that is searched, comparing the two, and the alias. */
import type { QdrantClient, Schemas } from "@qdrant/js-client-rest";
import { randomUUID } from "node:crypto";
import { NikaError } from "../../convex/model/error.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { Spaces } from "../../functions/ports/spaces.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import type { Book, InUse } from "./book.ts";
import type { Fence } from "./fence.ts";
import { pointAlias } from "./generation.ts";
import { toNumbers } from "./points.ts";
import { throwIfAborted } from "./stopping.ts";
import { openTraffic, type Traffic } from "./traffic.ts";
import { denseName, makeSpace, sparseName, vaultAlias } from "./vault.ts";

type MovesOptions = {
  readonly client: () => Promise<QdrantClient>;
  readonly book: () => Book;
  readonly reread: () => Promise<void>;
  readonly fence: Fence;
  readonly touched: Touched;
  readonly embedder: (id: string) => Promise<Embedder | undefined>;
  readonly freeBytes: (() => number) | undefined;
};

const comparedAtOnce = 192;
/** Places at which the sample looks, and passages at each. */
const sampled = { places: 48, each: 4 };
/** Of a passage on disk, beside its vector in floats and bytes: text, payload, words and their indexes. */
const passageBytes = 4_096;
/** What two copies of a passage must have in common; the text follows from the document's hash. */
const compared = [
  "tenant_id",
  "document_id",
  "ordinal",
  "held",
  "held_folder",
  "scope",
  "entity_type",
  "language",
  "domain",
  "title",
  "document_name",
  "sha256",
];

type Point = Schemas["Record"];

/** What was written while somebody copied. */
export type Touched = {
  /** Undefined: anything may change. What it gives is called when that write is over. */
  add(documentId: string | undefined): () => void;
  /** Writes that are under way now count, too. */
  begin(): Watching;
};
type Watching = { has(documentId: string): boolean; end(): void };

export function openTouched(): Touched {
  type Seen = { readonly documents: Set<string>; isAll: boolean };
  const watching = new Set<Seen>();
  const writes = new Set<{ readonly documentId: string | undefined }>();
  const note = (one: Seen, documentId: string | undefined): void => {
    if (documentId === undefined) one.isAll = true;
    else one.documents.add(documentId);
  };
  return {
    add: (documentId) => {
      const write = { documentId };
      writes.add(write);
      for (const one of watching) note(one, documentId);
      return () => void writes.delete(write);
    },
    begin: () => {
      const mine: Seen = { documents: new Set<string>(), isAll: false };
      for (const { documentId } of writes) note(mine, documentId);
      watching.add(mine);
      return { has: (documentId) => mine.isAll || mine.documents.has(documentId), end: () => void watching.delete(mine) };
    },
  };
}

export type Moves = Omit<Spaces, "find"> & Pick<Traffic, "searching">;

export function openMoves(options: MovesOptions): Moves {
  const { client, book, reread, fence, touched, freeBytes } = options;
  const traffic = openTraffic();
  const { pace } = traffic;

  const both = (): { live: InUse; beside: InUse } => {
    const { live, beside } = book();
    if (!beside) throw new NikaError("conflict", "There is no second space to copy to.");
    return { live, beside };
  };
  const embedderOf = async ({ embedderId }: InUse): Promise<Embedder> => {
    const embedder = await options.embedder(embedderId);
    if (!embedder) throw new NikaError("missing", `The model ${embedderId} is no longer on this machine.`);
    return embedder;
  };

  /** Points as they are to stand in the space beside: the same words and payload, the vector made for it. */
  const embedded = async (points: readonly Point[], space: InUse, signal: AbortSignal) => {
    const embedder = await embedderOf(space);
    const vectors = points.length === 0 ? [] : await embedder.passages(points.map(textOf), signal);
    return points.map(({ id, payload, vector }, at) => {
      const numbers = toNumbers(vectors[at]!);
      const words = sparseOf(vector);
      return {
        id,
        payload: payload ?? {},
        vector: { ...(numbers && { [denseName]: numbers }), ...(words && { [sparseName]: words }) },
      };
    });
  };

  /** Puts right what differs among these, with nobody writing meanwhile. */
  const mend = (qdrant: QdrantClient, ids: readonly (string | number)[], signal: AbortSignal): Promise<number> =>
    fence.alone(undefined, async () => {
      const { live, beside } = both();
      const wanted = { ids: [...ids], with_payload: true };
      const ours = await qdrant.retrieve(live.collection, { ...wanted, with_vector: [sparseName] });
      const theirs = new Map((await qdrant.retrieve(beside.collection, wanted)).map((point) => [point.id, digestOf(point)]));
      const differing = ours.filter((point) => theirs.get(point.id) !== digestOf(point));
      const here = new Set(ours.map(({ id }) => id));
      const gone = [...theirs.keys()].filter((id) => !here.has(id));
      if (differing.length > 0)
        await qdrant.upsert(beside.collection, { wait: true, points: await embedded(differing, beside, signal) });
      if (gone.length > 0) await qdrant.delete(beside.collection, { wait: true, points: gone });
      return differing.length + gone.length;
    });

  return {
    searching: traffic.searching,

    refresh: async () => {
      await client();
      await fence.alone(undefined, reread);
    },

    prepare: async ({ collection, embedderId, dimensions }) =>
      makeSpace(await client(), collection, { id: embedderId, dimensions }),

    room: async () => {
      const qdrant = await client();
      const { live } = book();
      const { count } = await qdrant.count(live.collection, { exact: true });
      return { passages: count, needBytes: count * (passageBytes + live.dimensions * 5), freeBytes: freeBytes?.() ?? Infinity };
    },

    sizes: async () => {
      const qdrant = await client();
      return fence.alone(undefined, async () => {
        const { live, beside } = both();
        const count = async ({ collection }: InUse): Promise<number> => (await qdrant.count(collection, { exact: true })).count;
        return { live: await count(live), beside: await count(beside) };
      });
    },

    copy: (cursor, signal) =>
      traffic.page(signal, async () => {
        const qdrant = await client();
        const { live, beside } = both();
        const watching = touched.begin();
        try {
          const page = await qdrant.scroll(live.collection, {
            limit: pace.size,
            with_payload: true,
            with_vector: [sparseName],
            ...(cursor !== null && { offset: cursor }),
          });
          const points = await embedded(page.points, beside, signal);
          throwIfAborted(signal);
          await traffic.giveWay();
          const askedAt = performance.now();
          // Who writes other documents goes on meanwhile.
          await fence.alone(new Set(page.points.map(documentOf)), async () => {
            traffic.waited(performance.now() - askedAt);
            const isStale = (point: { payload?: Payload }): boolean => watching.has(documentOf(point));
            const fresh = points.filter((point) => !isStale(point));
            const ids = points.filter(isStale).map(({ id }) => id);
            // What was written meanwhile is taken as it is now; what is gone stays gone.
            const again =
              ids.length === 0
                ? []
                : await qdrant.retrieve(live.collection, { ids, with_payload: true, with_vector: [sparseName] });
            const all = [...fresh, ...(await embedded(again, beside, signal))];
            const startedAt = performance.now();
            if (all.length > 0) await qdrant.upsert(beside.collection, { wait: true, points: all });
            pace.wrote(all.length, performance.now() - startedAt);
          });
          return { cursor: nextOf(page), copied: page.points.length };
        } finally {
          watching.end();
        }
      }),

    compare: (cursor, signal) =>
      traffic.page(signal, async () => {
        const qdrant = await client();
        const { live, beside } = both();
        const look = (collection: string, offset: string | null) =>
          qdrant.scroll(collection, {
            limit: comparedAtOnce,
            with_payload: compared,
            ...(offset !== null && { offset }),
          });
        const page = await look(live.collection, cursor);
        const next = nextOf(page);
        const ours = new Map(page.points.map((point) => [String(point.id), digestOf(point)]));
        const isOfPage = (id: string): boolean => next === null || id < next;
        const theirs = new Map<string, string>();
        let from: string | null = cursor;
        do {
          throwIfAborted(signal);
          const others = await look(beside.collection, from);
          for (const point of others.points) if (isOfPage(String(point.id))) theirs.set(String(point.id), digestOf(point));
          from = nextOf(others);
        } while (from !== null && isOfPage(from));
        const differing = [...new Set([...ours.keys(), ...theirs.keys()])].filter((id) => ours.get(id) !== theirs.get(id));
        return { cursor: next, mended: differing.length === 0 ? 0 : await mend(qdrant, differing, signal) };
      }),

    sample: async (signal) => {
      const qdrant = await client();
      const { beside } = both();
      const embedder = await embedderOf(beside);
      let least = 1;
      for (let place = 0; place < sampled.places; place += 1) {
        throwIfAborted(signal);
        const { points } = await qdrant.scroll(beside.collection, {
          limit: sampled.each,
          with_payload: true,
          with_vector: [denseName],
          ...(place > 0 && { offset: randomUUID() }),
        });
        if (points.length === 0) continue;
        const fresh = await embedder.passages(points.map(textOf), signal);
        for (const [at, point] of points.entries()) least = Math.min(least, cosine(denseOf(point.vector), toNumbers(fresh[at]!)));
      }
      return least;
    },

    point: async () => {
      const qdrant = await client();
      await reread();
      await pointAlias(qdrant, vaultAlias, book().live.collection);
    },

    drop: async (collection) => {
      const qdrant = await client();
      await reread();
      const { live, beside } = book();
      if ([live.collection, beside?.collection].includes(collection))
        throw new NikaError("conflict", "This space is still in use.");
      // Dropping a collection takes its aliases along.
      await pointAlias(qdrant, vaultAlias, live.collection);
      await qdrant.deleteCollection(collection);
    },
  };
}

type Payload = { readonly [key: string]: unknown } | null;
type Vector = Point["vector"];

/** Points come in the order of their ids, and these are all of the same length. */
const nextOf = ({ next_page_offset: next }: { next_page_offset?: unknown }): string | null =>
  typeof next === "string" ? next : null;

const digestOf = ({ payload }: Point): string => JSON.stringify(compared.map((key) => payload?.[key] ?? null));

const documentOf = ({ payload }: { payload?: Payload }): string => String(payload?.["document_id"]);

const textOf = ({ payload }: Point): string => textToEmbed(payload as unknown as Parameters<typeof textToEmbed>[0]);

function sparseOf(vector: Vector): Schemas["SparseVector"] | undefined {
  const named = vector as { readonly [name: string]: Schemas["SparseVector"] | undefined } | undefined;
  return named?.[sparseName];
}

function denseOf(vector: Vector): readonly number[] | undefined {
  const named = vector as { readonly [name: string]: readonly number[] | undefined } | undefined;
  return named?.[denseName];
}

/** 1 for two that have no direction, 0 where one has. */
function cosine(one: readonly number[] | undefined, other: readonly number[] | undefined): number {
  if (!one || !other) return one === other ? 1 : 0;
  let [dot, first, second] = [0, 0, 0];
  for (const [at, value] of one.entries()) {
    dot += value * other[at]!;
    first += value * value;
    second += other[at]! ** 2;
  }
  return dot / Math.sqrt(first * second);
}
