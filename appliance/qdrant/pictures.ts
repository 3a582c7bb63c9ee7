/** The vault's pictures in Qdrant, or in the embedded store that speaks its language. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { NikaError } from "../../convex/model/error.ts";
import { unseenMark, type PictureBranch, type PictureSpaces, type PictureVectors } from "../../functions/ports/pictures.ts";
import { connect } from "./connect.ts";
import { isFound, toConditions, toHeld } from "./filter.ts";
import { captionName, galleryAlias, openGallery, visualName, wordsName, type GalleryEmbedders } from "./gallery.ts";
import { toPicture, toPictureId, toPicturePayload, toPictureVectors } from "./picturePoints.ts";
import { opened } from "./opening.ts";
import { found, toLabels, toNumbers } from "./points.ts";
import { byTerms, fused } from "./ranking.ts";
import { throwIfAborted, unlessAborted } from "./stopping.ts";

export type GalleryOptions = GalleryEmbedders & {
  /** Origin, such as http://127.0.0.1:6333. */
  readonly url: string;
  readonly apiKey?: string;
};

type Gallery = { readonly client: QdrantClient; readonly stored: PictureSpaces };

// Each ranking brings this many at least: fewer starve the fusion.
const rankedMin = 60;
/** As many as one document may have. */
const picturesMax = 200;

export function qdrantPictures(options: GalleryOptions): PictureVectors {
  const using = opened(async (): Promise<Gallery> => {
    const client = await connect(options);
    return { client, stored: await openGallery(client, options) };
  });

  const isSeen = (stored: PictureSpaces): boolean => stored.visualId === options.visualId;
  const isTold = (stored: PictureSpaces): boolean => stored.captionId === options.captionId;

  /** A branch as one query of a batch, under the tenant; undefined when it ranks nothing. */
  const toSearch = (tenantId: string, branch: PictureBranch, stored: PictureSpaces) => {
    if ("terms" in branch) return branch.terms.indices.length === 0 ? undefined : byTerms(tenantId, branch.terms, wordsName);
    const [vector, using, isComparable] =
      "visual" in branch ? [branch.visual, visualName, isSeen(stored)] : [branch.caption, captionName, isTold(stored)];
    const query = isComparable ? toNumbers(vector) : undefined;
    return query && { query, using };
  };

  return {
    spaces: () => using(async ({ stored: { visualId, captionId } }) => ({ visualId, captionId })),

    marks: (document, signal) =>
      using(async ({ client }) => {
        throwIfAborted(signal);
        const page = client.scroll(galleryAlias, {
          filter: ofDocument(document),
          limit: picturesMax,
          with_payload: ["ordinal", "mark"],
        });
        const { points } = await unlessAborted(page, signal);
        return new Map(points.map(({ payload }) => [Number(payload?.["ordinal"]), String(payload?.["mark"])]));
      }),

    unseen: (document, signal) =>
      using(async ({ client }) => {
        throwIfAborted(signal);
        const filter = { must: [...ofDocument(document).must, { key: "mark", match: { value: unseenMark } }] };
        const page = client.scroll(galleryAlias, { filter, limit: picturesMax, with_payload: true });
        const { points } = await unlessAborted(page, signal);
        return points.map(({ payload }) => toPicture(document.tenantId, payload));
      }),

    see: ({ tenantId, documentId }, pictures, signal) =>
      using(async ({ client, stored }) => {
        throwIfAborted(signal);
        const operations = pictures.flatMap(({ ordinal, mark, visual }) => {
          const id = toPictureId(tenantId, documentId, ordinal);
          const numbers = visual && isSeen(stored) ? toNumbers(visual) : undefined;
          return [
            ...(numbers ? [{ update_vectors: { points: [{ id, vector: { [visualName]: numbers } }] } }] : []),
            { set_payload: { payload: { mark }, points: [id] } },
          ];
        });
        if (operations.length > 0) await client.batchUpdate(galleryAlias, { wait: true, operations });
      }),

    replace: (document, pictures, signal) =>
      using(async ({ client, stored }) => {
        throwIfAborted(signal);
        const { tenantId, documentId } = document;
        if (pictures.some(({ documentId: id, ordinal }, at) => id !== documentId || ordinal <= (pictures[at - 1]?.ordinal ?? -1)))
          throw new NikaError("bug", "Pictures were handed over out of order.");
        const made = pictures.filter((picture) => picture.made);
        const points = made.map((picture) => ({
          id: toPictureId(tenantId, documentId, picture.ordinal),
          vector: toPictureVectors(picture.made, { isSeen: isSeen(stored), isTold: isTold(stored) }),
          payload: toPicturePayload(tenantId, picture),
        }));
        const kept = pictures.filter((picture) => !picture.made);
        const { must } = ofDocument(document);
        const ordinals = pictures.map(({ ordinal }) => ordinal);
        const others = { must, ...(ordinals.length > 0 && { must_not: [{ key: "ordinal", match: { any: ordinals } }] }) };
        // One request and one commit: searches see the pictures of before, or these.
        await client.batchUpdate(galleryAlias, {
          wait: true,
          operations: [
            ...(points.length > 0 ? [{ upsert: { points } }] : []),
            ...kept.map((picture) => ({
              overwrite_payload: {
                payload: toPicturePayload(tenantId, picture),
                points: [toPictureId(tenantId, documentId, picture.ordinal)],
              },
            })),
            { delete: { filter: others } },
          ],
        });
      }),

    remove: (document) =>
      using(async ({ client }) => {
        await client.delete(galleryAlias, { wait: true, filter: ofDocument(document) });
      }),

    label: (document, labels) =>
      using(async ({ client }) => {
        await client.setPayload(galleryAlias, { wait: true, payload: toLabels(labels), filter: ofDocument(document) });
      }),

    release: (group) =>
      using(async ({ client }) => {
        await client.setPayload(galleryAlias, { wait: true, payload: { held: found }, filter: toHeld(group) });
      }),

    discard: (group) =>
      using(async ({ client }) => {
        await client.delete(galleryAlias, { wait: true, filter: toHeld(group) });
      }),

    search: ({ tenantId, branches, filter, limit }, signal) =>
      using(async ({ client, stored }) => {
        throwIfAborted(signal);
        const { must } = toConditions(tenantId, filter);
        const shared = { filter: { must: [...must, isFound] }, limit: Math.max(rankedMin, limit) };
        const rankings = branches.flatMap((branch) => {
          const search = toSearch(tenantId, branch, stored);
          return search ? [{ name: branch.name, weight: branch.weight, search: { ...shared, ...search } }] : [];
        });
        const best = await fused(client, galleryAlias, { rankings, limit }, signal);
        return best.map(({ payload, score, branches: ranks }) => ({ ...toPicture(tenantId, payload), score, branches: ranks }));
      }),

    count: ({ tenantId, documentId }) =>
      using(async ({ client }) => {
        const filter = documentId === undefined ? toConditions(tenantId) : ofDocument({ tenantId, documentId });
        return (await client.count(galleryAlias, { exact: true, filter })).count;
      }),
  };
}

const ofDocument = ({ tenantId, documentId }: { readonly tenantId: string; readonly documentId: string }) =>
  toConditions(tenantId, { documentIds: [documentId] });
