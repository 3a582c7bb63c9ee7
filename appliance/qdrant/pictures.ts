/** The vault's pictures in Qdrant, or in the embedded store that speaks its language. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { NikaError } from "../../convex/model/error.ts";
import type { PictureBranch, PictureSpaces, PictureVectors } from "../../functions/ports/pictures.ts";
import { fuse } from "../../ml/retrieve/fuse.ts";
import { connect } from "./connect.ts";
import { statusOf, toStoreError } from "./errors.ts";
import { isFound, toConditions, toHeld } from "./filter.ts";
import { captionName, galleryAlias, openGallery, visualName, wordsName, type GalleryEmbedders } from "./gallery.ts";
import { toPicture, toPictureId, toPicturePayload, toPictureVectors } from "./picturePoints.ts";
import { found, toNumbers, toSparse } from "./points.ts";
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
  let opening: Promise<Gallery> | undefined;

  async function open(): Promise<Gallery> {
    const client = await connect(options);
    return { client, stored: await openGallery(client, options) };
  }

  /** Runs `work` on an open collection. What failed to open, or was lost since, is opened again by the next call. */
  async function using<T>(work: (gallery: Gallery) => Promise<T>): Promise<T> {
    const mine = (opening ??= open());
    try {
      return await work(await mine);
    } catch (error) {
      const hasOpened = await mine.then(
        () => true,
        () => false,
      );
      if ((statusOf(error) === 404 || !hasOpened) && opening === mine) opening = undefined;
      throw toStoreError(error);
    }
  }

  const isSeen = (stored: PictureSpaces): boolean => stored.visualId === options.visualId;
  const isTold = (stored: PictureSpaces): boolean => stored.captionId === options.captionId;

  /** A branch as one query of a batch, under the tenant; undefined when it ranks nothing. */
  const toSearch = (branch: PictureBranch, stored: PictureSpaces) => {
    if ("terms" in branch)
      return branch.terms.indices.length === 0 ? undefined : { query: toSparse(branch.terms), using: wordsName };
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

    label: (document, { domain, scope, entityType, language, title }) =>
      using(async ({ client }) => {
        const payload = {
          ...(domain !== undefined && { domain }),
          ...(scope !== undefined && { scope }),
          ...(entityType !== undefined && { entity_type: entityType }),
          ...(language !== undefined && { language }),
          ...(title !== undefined && { title }),
        };
        await client.setPayload(galleryAlias, { wait: true, payload, filter: ofDocument(document) });
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
        const asked = branches.flatMap((branch) => {
          const search = toSearch(branch, stored);
          return search ? [{ branch, search }] : [];
        });
        if (asked.length === 0) return [];
        const { must } = toConditions(tenantId, filter);
        const shared = { filter: { must: [...must, isFound] }, limit: Math.max(rankedMin, limit), with_payload: false };
        const searches = asked.map(({ search }) => ({ ...shared, ...search }));
        const answers = await unlessAborted(client.queryBatch(galleryAlias, { searches }), signal);
        const rankings = asked.map(({ branch: { name, weight } }, at) => ({ name, weight, hits: answers[at]?.points ?? [] }));
        const best = fuse(rankings).slice(0, limit);
        if (best.length === 0) return [];
        const records = await unlessAborted(
          client.retrieve(galleryAlias, { ids: best.map(({ id }) => id), with_payload: true }),
          signal,
        );
        const payloads = new Map(records.map(({ id, payload }) => [id, payload]));
        // One that was removed in between is simply no longer there.
        return best
          .filter(({ id }) => payloads.has(id))
          .map(({ id, score, branches: ranks }) => ({ ...toPicture(tenantId, payloads.get(id)), score, branches: ranks }));
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
