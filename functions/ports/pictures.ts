import type { SearchFilter } from "../../convex/model/answer.ts";
import type { Box } from "../../convex/model/place.ts";
import type { DocumentKey, HeldGroup, Labels, PassageFacts, Tenant, Terms } from "./vectors.ts";

/** The mark of a picture that nobody could look at yet. */
export const unseenMark = "";

/** A picture of the vault as it is stored beside its vectors. */
export type StoredPicture = PassageFacts & {
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  /** Position among the pictures of its document, from 0. With `documentId` it names the point, so writing it again replaces it. */
  readonly ordinal: number;
  /** Of its row in the control plane, by which its bytes are had. */
  readonly pictureId: string;
  readonly type: "figure" | "page" | "image";
  readonly width: number;
  readonly height: number;
  readonly page?: number;
  readonly box?: Box;
  readonly headings?: readonly string[];
  readonly caption?: string;
  /** Recognised in it. */
  readonly text?: string;
  /** The passage of its document that speaks for it, when there is one. */
  readonly passage?: number;
};

export type PicturePoint = StoredPicture & {
  /** What its vectors were made of and by whom: as long as it is the same, they need not be made again. */
  readonly mark: string;
  /** Absent when those that are stored under the same mark still hold. */
  readonly made?: {
    readonly terms: Terms;
    /** Of the visual embedder and of the text embedder; absent when they could not be had. */
    readonly visual?: Float32Array;
    readonly caption?: Float32Array;
  };
};

/** `visual` is absent when it could not be decoded; then it is not asked about again. */
export type SeenPicture = { readonly ordinal: number; readonly mark: string; readonly visual?: Float32Array };

export type PictureHit = StoredPicture & {
  /** Fused score, higher is better; comparable within one answer only. */
  readonly score: number;
  /** Rank (from 1) and score in each branch that had it. */
  readonly branches: readonly { readonly name: string; readonly rank: number; readonly score: number }[];
};

/** One ranking of a search: by what is seen, by what is said of it, or by its words. */
export type PictureBranch = { readonly name: string; readonly weight: number } & (
  | { readonly visual: Float32Array }
  | { readonly caption: Float32Array }
  | { readonly terms: Terms }
);

/** Whose vectors are stored. Vectors of another embedder cannot be compared with them, so they are neither written nor asked with. */
export type PictureSpaces = { readonly visualId: string; readonly captionId: string };

/** The vault's pictures. All calls fail with `unavailable` when the store does not answer. */
export type PictureVectors = {
  spaces(): Promise<PictureSpaces>;
  /** The marks of a document's pictures by their ordinals. */
  marks(document: DocumentKey, signal: AbortSignal): Promise<ReadonlyMap<number, string>>;
  /** The pictures of a document that carry `unseenMark`. */
  unseen(document: DocumentKey, signal: AbortSignal): Promise<readonly StoredPicture[]>;
  /** Adds what was seen in some pictures to what is stored of them; one that is gone fails the whole. */
  see(document: DocumentKey, pictures: readonly SeenPicture[], signal: AbortSignal): Promise<void>;
  /** Replaces all pictures of a document by these (in order), all at once. */
  replace(document: DocumentKey, pictures: readonly PicturePoint[], signal: AbortSignal): Promise<void>;
  /** A document without pictures is not an error. */
  remove(document: DocumentKey): Promise<void>;
  label(document: DocumentKey, labels: Labels): Promise<void>;
  /** Lets searches find what was held, all of the group at once. */
  release(group: HeldGroup): Promise<void>;
  discard(group: HeldGroup): Promise<void>;
  /** Several rankings at once, fused by rank; best first, at most `limit`. A vector of a space that is not in force ranks nothing. */
  search(
    query: Tenant & { readonly branches: readonly PictureBranch[]; readonly filter?: SearchFilter; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly PictureHit[]>;
  /** Pictures held, of one document or of all. */
  count(of: Tenant & { readonly documentId?: string }): Promise<number>;
};
