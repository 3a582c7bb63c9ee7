/** A vault of several spaces in memory: a small true one, which sits the same exam as the real one. */
import { NikaError } from "../../convex/model/error.ts";
import type { Space } from "../../convex/model/generation.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import type { Embedder } from "../../functions/ports/embedder.ts";
import type { PassagePoint, Vectors } from "../../functions/ports/vectors.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import type { MovableVault } from "../contracts/spaces.ts";
import { madeEmbedders } from "./embedders.ts";
import { fakeVectors, type FakeVectors } from "./vectors.ts";

const never = new AbortController().signal;

export function fakeMovableVault(): MovableVault {
  const embedders = madeEmbedders();
  const { old, fresh } = embedders;
  const first: Space = {
    generationId: "first" as Space["generationId"],
    collection: "nika_vault__g0001",
    embedderId: old.id,
    dimensions: old.dimensions,
    fusion: fusionDefault,
  };
  const record: { live: Space; beside: Space | null } = { live: first, beside: null };
  let now = { ...record };
  const collections = new Map<string, FakeVectors>([[first.collection, fakeVectors()]]);
  const at = ({ collection }: Pick<Space, "collection">): FakeVectors => collections.get(collection)!;
  const both = (): { live: Space; beside: Space } => {
    if (!now.beside) throw new NikaError("conflict", "There is no second space to copy to.");
    return { live: now.live, beside: now.beside };
  };
  const write = async (work: (space: Space) => Promise<void>): Promise<void> => {
    for (const space of [now.live, ...(now.beside ? [now.beside] : [])]) await work(space);
  };
  const vectorOf = async (passage: PassagePoint, { embedderId }: Space): Promise<Float32Array> => {
    const embedder: Embedder = (await embedders.of(embedderId))!;
    return (await embedder.passages([textToEmbed(passage)], never))[0]!;
  };
  const factsOf = (passage: PassagePoint): string => JSON.stringify({ ...passage, vector: undefined, embedderId: undefined });
  const copy = async (key: string): Promise<boolean> => {
    const { live, beside } = both();
    const [from, to] = [at(live).held.get(key), at(beside).held.get(key)];
    if (from && to && factsOf(from) === factsOf(to)) return false;
    if (!from) at(beside).held.delete(key);
    else at(beside).held.set(key, { ...from, vector: await vectorOf(from, beside), embedderId: beside.embedderId });
    return true;
  };
  const live = (): FakeVectors => at(now.live);
  const vectors: Vectors = {
    ...live(),
    generation: async () => now.live,
    replace: async (document, passages, signal) => {
      const all: PassagePoint[] = [];
      for await (const passage of passages) all.push(passage);
      await write(async (space) => {
        const made = await Promise.all(all.map(async (one) => ({ ...one, vector: await vectorOf(one, space) })));
        await at(space).replace(document, made, signal);
      });
    },
    remove: (document) => write((space) => at(space).remove(document)),
    label: (document, labels) => write((space) => at(space).label(document, labels)),
    release: (group) => write((space) => at(space).release(group)),
    discard: (group) => write((space) => at(space).discard(group)),
    search: (query, signal) => at(query.generation ?? now.live).search(query, signal),
    passages: (document, signal) => live().passages(document, signal),
    count: (of) => live().count(of),
  };
  const all = (walk: (keys: readonly string[]) => Promise<number>): Promise<number> => {
    const { live: one, beside: other } = both();
    return walk([...new Set([...at(one).held.keys(), ...at(other).held.keys()])]);
  };
  return {
    vectors,
    old,
    fresh,
    record,
    spaces: {
      find: embedders.find,
      refresh: async () => void (now = { ...record }),
      prepare: async ({ collection }) => void (collections.has(collection) || collections.set(collection, fakeVectors())),
      room: async () => ({ passages: live().held.size, needBytes: 0, freeBytes: Infinity }),
      sizes: async () => ({ live: at(both().live).held.size, beside: at(both().beside).held.size }),
      copy: async () => {
        const copied = await all(async (keys) => {
          for (const key of keys) await copy(key);
          return live().held.size;
        });
        return { cursor: null, copied };
      },
      compare: async () => ({
        cursor: null,
        mended: await all(async (keys) => (await Promise.all(keys.map(copy))).filter(Boolean).length),
      }),
      sample: async () => {
        const { beside } = both();
        const ones = [...at(beside).held.values()];
        const alike = await Promise.all(
          ones.map(async (one) => {
            const made = await vectorOf(one, beside);
            return one.vector.reduce((sum, value, d) => sum + value * made[d]!, 0);
          }),
        );
        return Math.min(1, ...alike);
      },
      point: async () => undefined,
      drop: async (collection) => {
        now = { ...record };
        if ([now.live.collection, now.beside?.collection].includes(collection))
          throw new NikaError("conflict", "This space is still in use.");
        collections.delete(collection);
      },
    },
  };
}
