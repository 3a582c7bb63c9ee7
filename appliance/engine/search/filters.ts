/** The values of an index's filter fields, as bytes of one length, so that they are compared without looking into the document. */
import { createHash } from "node:crypto";
import { encodeKey } from "../codec/key.ts";
import { fieldAt, type Json, type JsonObject } from "../codec/value.ts";

/** Of a SHA-256: two values that are mistaken for each other will not be met with. */
const bytesEach = 8;

/** Undefined is a missing field. */
export function hashFilter(value: Json | undefined): Buffer {
  return createHash("sha256")
    .update(encodeKey([value]))
    .digest()
    .subarray(0, bytesEach);
}

/** One after the other, in the order of the index's definition. */
export function hashFilters(fields: readonly string[], document: JsonObject): Buffer {
  return Buffer.concat(fields.map((field) => hashFilter(fieldAt(document, field))));
}

/** `wanted` has the position of a field and the hash its value must have. */
export function hasFilter(filters: Uint8Array, wanted: { readonly at: number; readonly hash: Buffer }): boolean {
  const start = wanted.at * bytesEach;
  return wanted.hash.equals(filters.subarray(start, start + bytesEach));
}
