import type { SearchFilter } from "../../convex/model/answer.ts";
import type { Fusion } from "../../convex/model/model.ts";
import type { Place } from "../../convex/model/place.ts";

/** Weighted terms of a text: `indices` are 32-bit hashes, unique; same length as `values`. */
export type Terms = { readonly indices: readonly number[]; readonly values: readonly number[] };

/** Whose passages are meant. There is no call without it. */
export type Tenant = { readonly tenantId: string };
export type DocumentKey = Tenant & { readonly documentId: string };

/** What is known of a passage's document, for filters and for showing. */
export type PassageFacts = {
  readonly language: string;
  readonly format: string;
  /** "private" unless said. */
  readonly scope?: string;
  /** See `entityTypes`; "document" unless said. */
  readonly entityType?: string;
  /** A theme of the vault; "general" until it was put into one. */
  readonly domain?: string;
  readonly author?: string;
  /** Milliseconds since 1970. */
  readonly writtenAt?: number;
  readonly people?: readonly string[];
  /** Of the document's bytes, hex. */
  readonly sha256?: string;
  /** The owner has not accepted it yet: it is kept, and no search finds it. */
  readonly hold?: Hold;
};

/** Which batch a passage waits in, and the folder that it came in. */
export type Hold = { readonly batchId: string; readonly folder: string };

/** What waits of a batch: all of it, or one group. */
export type HeldGroup = Tenant & {
  readonly batchId: string;
  readonly only?: { readonly by: "type" | "language" | "theme" | "folder"; readonly value: string };
};

/** One passage of the vault, as it is stored. */
export type PassagePoint = PassageFacts & {
  readonly documentId: string;
  /** Position in its document, from 0. With `documentId` it names the point, so writing it again replaces it. */
  readonly ordinal: number;
  readonly vector: Float32Array;
  /** Whose vector it is; of the one in force unless said. A space of another embedder gets one that is made for it. */
  readonly embedderId?: string;
  readonly terms: Terms;
  readonly documentName: string;
  readonly title: string;
  readonly text: string;
  readonly place: Place;
  readonly kind?: string;
  readonly section?: number;
  /** Words as they are written, lower case, that a misspelt question may mean. */
  readonly spellings?: readonly string[];
};

export type StoredPassage = PassageFacts & {
  readonly documentId: string;
  readonly documentName: string;
  readonly title: string;
  readonly ordinal: number;
  readonly text: string;
  readonly place: Place;
  readonly kind?: string;
  readonly section?: number;
};

export type PassageHit = StoredPassage & {
  /** Fused score, higher is better; comparable within one answer only. */
  readonly score: number;
  /** Rank (from 1) and score in each branch that had it. */
  readonly branches: readonly { readonly name: string; readonly rank: number; readonly score: number }[];
};

/** One ranking of a search: by nearness or by words, among what the filter leaves. */
export type Branch = {
  readonly name: string;
  /** How much its ranks count in the fusion. */
  readonly weight: number;
  readonly filter?: SearchFilter;
  /** Only passages in whose text these words follow each other. */
  readonly phrase?: string;
} & ({ readonly vector: Float32Array } | { readonly terms: Terms });

export type Labels = {
  readonly domain?: string;
  readonly scope?: string;
  readonly entityType?: string;
  readonly language?: string;
  readonly title?: string;
};

/** What searches go by at one moment: read once by a request, which keeps to it until it is answered, whatever comes in force meanwhile. */
export type Generation = {
  readonly collection: string;
  /** Whose vectors it holds: questions are embedded by that one. Absent where this is not known: then vectors are taken as they come. */
  readonly embedderId?: string;
  /** How the rankings become one. */
  readonly fusion: Fusion;
};

/** The vault's passages. All calls fail with `unavailable` when the store does not answer. */
export type Vectors = {
  /**
   * Replaces all passages of a document by these, which come in order and as they are made: a large document never lies in memory
   * whole. None is lost or doubled when it is cut off and repeated; until the last is written no search finds any of the new ones.
   * Fails with what the source fails with.
   */
  replace(
    document: DocumentKey,
    passages: Iterable<PassagePoint> | AsyncIterable<PassagePoint>,
    signal: AbortSignal,
  ): Promise<void>;
  /** A document without passages is not an error. */
  remove(document: DocumentKey): Promise<void>;
  /** Sets what was found out about a document after its passages were made. */
  label(document: DocumentKey, labels: Labels): Promise<void>;
  /** Lets searches find what was held, all of the group at once. */
  release(group: HeldGroup): Promise<void>;
  /** Removes what was held, all of the group at once. */
  discard(group: HeldGroup): Promise<void>;
  /** What is in force now. */
  generation(): Promise<Generation>;
  /**
   * Several rankings at once, fused as the generation says; best first, at most `limit`. `filter` holds for all of them. A vector of zeros, or
   * of another embedder than the generation's, ranks nothing, and so do no terms. Without a generation, the one in force is meant.
   */
  search(
    query: Tenant & {
      readonly branches: readonly Branch[];
      readonly filter?: SearchFilter;
      readonly limit: number;
      readonly generation?: Generation;
    },
    signal: AbortSignal,
  ): Promise<readonly PassageHit[]>;
  /** Passages of a document by their positions, `from` to `to` inclusive, in order; at most 200. */
  passages(
    document: DocumentKey & { readonly from: number; readonly to: number },
    signal: AbortSignal,
  ): Promise<readonly StoredPassage[]>;
  /**
   * For each of the words (lower case, without accents) that no passage of the tenant has: those it has that look most like it, best
   * first. Words that it has are left out.
   */
  spellings(
    query: Tenant & { readonly words: readonly string[] },
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Passages held, of one document or of all. */
  count(of: Tenant & { readonly documentId?: string }): Promise<number>;
};
