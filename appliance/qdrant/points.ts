/** Passages as points and back. */
import { NikaError } from "../../convex/model/error.ts";
import { foldersOf, nameWords } from "../../ml/retrieve/names.ts";
import type { Labels, PassageFacts, PassagePoint, StoredPassage, Terms } from "../../functions/ports/vectors.ts";
import { passageId } from "./pointId.ts";
import { denseName, sparseName } from "./vault.ts";

type Payload = Record<string, unknown>;

/** A document is its owner's, of no known kind and subject, unless it says. */
const unlabelled = { scope: "private", entityType: "document", domain: "general" } as const;

/** What `held` says of a passage that searches may find, and of one whose document is still being written. */
export const found = "";
export const unfinished = "unfinished";

export function toPoint(tenantId: string, passage: PassagePoint) {
  const { documentId, ordinal, vector, terms } = passage;
  const numbers = toNumbers(vector);
  return {
    id: passageId(tenantId, documentId, ordinal),
    // A vector of zeros has no direction to compare; its passage is still found by its words.
    vector: { ...(numbers && { [denseName]: numbers }), [sparseName]: toSparse(terms) },
    payload: toPayload(tenantId, passage),
  };
}

function toPayload(tenantId: string, passage: PassagePoint): Payload {
  const { kind, section } = passage;
  return {
    ...toFacts(tenantId, passage),
    text: passage.text,
    place: passage.place,
    ...(kind !== undefined && { kind }),
    ...(section !== undefined && { section }),
  };
}

/** What passages and pictures say of their document, by which both are filtered. */
export function toFacts(tenantId: string, of: PassageFacts & Named): Payload {
  const { author, people = [], writtenAt, sha256, hold } = of;
  const names = [...new Set([...(author === undefined ? [] : [author]), ...people].flatMap(nameWords))];
  const folders = foldersOf(of.documentName);
  return {
    tenant_id: tenantId,
    held: hold?.batchId ?? found,
    ...(hold && { held_folder: hold.folder }),
    scope: of.scope ?? unlabelled.scope,
    entity_type: of.entityType ?? unlabelled.entityType,
    language: of.language,
    domain: of.domain ?? unlabelled.domain,
    document_id: of.documentId,
    document_name: of.documentName,
    title: of.title,
    ordinal: of.ordinal,
    format: of.format,
    ...(author !== undefined && { author }),
    ...(people.length > 0 && { people }),
    ...(names.length > 0 && { names }),
    ...(writtenAt !== undefined && { written_at: writtenAt }),
    ...(folders.length > 0 && { folders }),
    ...(sha256 !== undefined && { sha256 }),
  };
}

type Named = Pick<PassagePoint, "documentId" | "documentName" | "title" | "ordinal">;

/** The labels that are given, as payload. */
export const toLabels = ({ domain, scope, entityType, language, title }: Labels): Payload => ({
  ...(domain !== undefined && { domain }),
  ...(scope !== undefined && { scope }),
  ...(entityType !== undefined && { entity_type: entityType }),
  ...(language !== undefined && { language }),
  ...(title !== undefined && { title }),
});

/** Fails with `bug` when it is no passage of `tenantId`: what a filter should have kept out must not get further. */
export function toPassage(tenantId: string, payload: Payload | null | undefined): StoredPassage {
  if (payload?.["tenant_id"] !== tenantId) throw new NikaError("bug", "The vector store gave out a passage of another tenant.");
  const text = (key: string): string => {
    const value = payload[key];
    if (typeof value !== "string") throw new NikaError("bug", `A passage in the vector store has no ${key}.`);
    return value;
  };
  const maybeText = (key: string): string | undefined => (typeof payload[key] === "string" ? payload[key] : undefined);
  const maybeNumber = (key: string): number | undefined => (typeof payload[key] === "number" ? payload[key] : undefined);
  const [kind, author, sha256] = [maybeText("kind"), maybeText("author"), maybeText("sha256")];
  const [section, writtenAt] = [maybeNumber("section"), maybeNumber("written_at")];
  return {
    documentId: text("document_id"),
    documentName: text("document_name"),
    title: text("title"),
    ordinal: Number(payload["ordinal"]),
    text: text("text"),
    place: payload["place"] ?? {},
    language: maybeText("language") ?? "und",
    format: maybeText("format") ?? "text",
    scope: maybeText("scope") ?? unlabelled.scope,
    entityType: maybeText("entity_type") ?? unlabelled.entityType,
    domain: maybeText("domain") ?? unlabelled.domain,
    ...(kind !== undefined && { kind }),
    ...(section !== undefined && { section }),
    ...(author !== undefined && { author }),
    ...(Array.isArray(payload["people"]) && { people: payload["people"] as string[] }),
    ...(writtenAt !== undefined && { writtenAt }),
    ...(sha256 !== undefined && { sha256 }),
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
