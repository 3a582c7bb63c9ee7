import { NikaError } from "../../convex/model/error.ts";
import type { PicturePoint, PictureSpaces, PictureVectors, StoredPicture } from "../../functions/ports/pictures.ts";
import { visualDimensions, type VisualEmbedder } from "../../functions/ports/visual.ts";
import { fuse } from "../../ml/retrieve/fuse.ts";

type Held = PicturePoint & { readonly tenantId: string };

/** Everything in one array, compared with everything. Filters by document, language and type only. */
export function fakePictures(spaces: PictureSpaces = { visualId: "eye", captionId: "letters-16" }): PictureVectors & {
  readonly all: () => readonly Held[];
} {
  const held = new Map<string, Held>();
  const keyOf = ({ tenantId, documentId, ordinal }: Pick<Held, "tenantId" | "documentId" | "ordinal">): string =>
    JSON.stringify([tenantId, documentId, ordinal]);
  const of = (tenantId: string, documentId?: string): Held[] =>
    [...held.values()].filter((one) => one.tenantId === tenantId && (documentId === undefined || one.documentId === documentId));
  const stopped = (signal: AbortSignal): void => {
    if (signal.aborted) throw new NikaError("cancelled", "It was cancelled.");
  };
  const waiting = (tenantId: string, batchId: string): Held[] => of(tenantId).filter(({ hold }) => hold?.batchId === batchId);
  return {
    all: () => [...held.values()],
    spaces: async () => spaces,
    async marks({ tenantId, documentId }) {
      return new Map(of(tenantId, documentId).map(({ ordinal, mark }) => [ordinal, mark]));
    },
    async unseen({ tenantId, documentId }, signal) {
      stopped(signal);
      return of(tenantId, documentId)
        .filter(({ mark }) => mark === "")
        .map(stored);
    },
    async see({ tenantId, documentId }, pictures, signal) {
      stopped(signal);
      const before = pictures.map(({ ordinal }) => held.get(keyOf({ tenantId, documentId, ordinal })));
      if (before.includes(undefined)) throw new NikaError("missing", "There is no such picture.");
      for (const [at, { mark, visual }] of pictures.entries()) {
        const one = before[at]!;
        held.set(keyOf(one), { ...one, mark, ...(one.made && { made: { ...one.made, ...(visual && { visual }) } }) });
      }
    },
    async replace({ tenantId, documentId }, pictures, signal) {
      stopped(signal);
      const before = new Map(of(tenantId, documentId).map((one) => [one.ordinal, one]));
      for (const one of before.values()) held.delete(keyOf(one));
      for (const picture of pictures) {
        const made = picture.made ?? before.get(picture.ordinal)?.made;
        held.set(keyOf({ tenantId, ...picture }), { tenantId, ...picture, ...(made && { made }) });
      }
    },
    async remove({ tenantId, documentId }) {
      for (const one of of(tenantId, documentId)) held.delete(keyOf(one));
    },
    async label({ tenantId, documentId }, labels) {
      for (const one of of(tenantId, documentId)) held.set(keyOf(one), { ...one, ...labels });
    },
    async release({ tenantId, batchId }) {
      for (const { hold: _, ...one } of waiting(tenantId, batchId)) held.set(keyOf(one), one);
    },
    async discard({ tenantId, batchId }) {
      for (const one of waiting(tenantId, batchId)) held.delete(keyOf(one));
    },
    async search({ tenantId, branches, filter, limit }, signal) {
      stopped(signal);
      const some = of(tenantId).filter(
        (one) =>
          !one.hold &&
          (filter?.documentIds?.includes(one.documentId) ?? true) &&
          (filter?.languages?.includes(one.language) ?? true) &&
          (filter?.types?.includes(one.entityType ?? "document") ?? true),
      );
      const rankings = branches.map((branch) => {
        const score = (one: Held): number => {
          if ("terms" in branch) return branch.terms.indices.filter((term) => one.made?.terms.indices.includes(term)).length;
          return dot(
            "visual" in branch ? branch.visual : branch.caption,
            "visual" in branch ? one.made?.visual : one.made?.caption,
          );
        };
        const hits = some.map((id) => ({ id, score: score(id) })).filter((hit) => hit.score > 0);
        return { name: branch.name, weight: branch.weight, hits: hits.sort((a, b) => b.score - a.score) };
      });
      return fuse(rankings)
        .slice(0, limit)
        .map(({ id, score, branches: ranks }) => ({ ...stored(id), score, branches: ranks }));
    },
    async count({ tenantId, documentId }) {
      return of(tenantId, documentId).length;
    },
  };
}

function stored(one: Held): StoredPicture {
  const { tenantId: _, mark: _m, made: _v, hold: _h, ...picture } = one;
  return picture;
}

const dot = (a: Float32Array, b: Float32Array | undefined): number =>
  b ? a.reduce((sum, value, i) => sum + value * b[i]!, 0) : 0;

/** Sees a picture's bytes as they are, and counts how many it looked at. */
export function fakeVisual(): VisualEmbedder & { readonly looks: { count: number } } {
  const looks = { count: 0 };
  const embed = (bytes: Uint8Array): Float32Array => {
    const vector = new Float32Array(visualDimensions);
    for (const byte of bytes) vector[byte]! += 1;
    const norm = Math.hypot(...vector) || 1;
    return vector.map((value) => value / norm);
  };
  return {
    looks,
    id: "eye",
    label: "counts bytes",
    dimensions: visualDimensions,
    seesMeaning: false,
    isRemote: false,
    async images(pictures, signal) {
      if (signal.aborted) throw new NikaError("cancelled", "Embedding was cancelled.");
      looks.count += pictures.length;
      return pictures.map(({ bytes }) => embed(bytes));
    },
    like: async ({ bytes }) => embed(bytes),
    text: async (query) => embed(new TextEncoder().encode(query)),
  };
}
