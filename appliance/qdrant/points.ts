/** Passages as points and back. */
import { NikaError } from "../../convex/model/error.ts";
import type { PassageHit, PassagePoint, Terms } from "../../functions/ports/vectors.ts";
import { passageId } from "./pointId.ts";
import { denseName, sparseName } from "./vault.ts";

type Payload = Record<string, unknown>;

/** A document is its owner's, of no known subject, until the vault learns to tell. */
const scope = "private";
const entityType = "document";
const domain = "general";

export function toPoint(tenantId: string, passage: PassagePoint) {
  const { documentId, ordinal, vector, terms } = passage;
  const numbers = toNumbers(vector);
  return {
    id: passageId(tenantId, documentId, ordinal),
    // A vector of zeros has no direction to compare; its passage is still found by its words.
    vector: { ...(numbers && { [denseName]: numbers }), [sparseName]: toSparse(terms) },
    payload: {
      tenant_id: tenantId,
      scope,
      entity_type: entityType,
      language: passage.language,
      domain,
      document_id: documentId,
      document_name: passage.documentName,
      title: passage.title,
      ordinal,
      text: passage.text,
      place: passage.place,
      format: passage.format,
    },
  };
}

export function toHit({ score, payload }: { score: number; payload?: Payload | null | undefined }): PassageHit {
  const text = (key: string): string => {
    const value = payload?.[key];
    if (typeof value !== "string") throw new NikaError("bug", `A passage in the vector store has no ${key}.`);
    return value;
  };
  return {
    documentId: text("document_id"),
    documentName: text("document_name"),
    title: text("title"),
    ordinal: Number(payload?.["ordinal"]),
    text: text("text"),
    place: payload?.["place"] ?? {},
    score,
  };
}

export const toSparse = ({ indices, values }: Terms) => ({ indices: [...indices], values: [...values] });

/**
 * For the wire, with eight decimals: half a unit of that is far below what a 32-bit float of a unit vector resolves where it
 * matters, and short numbers are written and read twice as fast. Undefined when there is no direction.
 */
export function toNumbers(vector: Float32Array): number[] | undefined {
  let isZero = true;
  const numbers = Array.from(vector, (value) => {
    if (!Number.isFinite(value)) throw new NikaError("bug", "The embedder made a vector that is not finite.");
    if (value !== 0) isZero = false;
    return Math.round(value * 1e8) / 1e8;
  });
  return isZero ? undefined : numbers;
}
