import { createHash } from "node:crypto";

// The namespace of Nika's passages; drawn once, never to change: ids already stored follow from it.
const namespace = Buffer.from("6d0f3c1e8a5b4f7794b1c2d35e7a9f08", "hex");

/** UUID version 5 of a passage: the same passage written again is the same point. */
export function passageId(tenantId: string, documentId: string, ordinal: number): string {
  const name = JSON.stringify([tenantId, documentId, ordinal]);
  const bytes = createHash("sha1").update(namespace).update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
