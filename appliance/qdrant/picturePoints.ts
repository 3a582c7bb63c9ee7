/** Pictures as points and back. */
import { NikaError } from "../../convex/model/error.ts";
import type { Box } from "../../convex/model/place.ts";
import type { PicturePoint, StoredPicture } from "../../functions/ports/pictures.ts";
import { captionName, visualName, wordsName } from "./gallery.ts";
import { passageId } from "./pointId.ts";
import { toFacts, toNumbers, toSparse } from "./points.ts";

type Payload = Record<string, unknown>;

/** Another collection than the passages', so the same names may serve. */
export const toPictureId = passageId;

/** Only vectors of the spaces that are in force; one of zeros has no direction. */
export function toPictureVectors(made: PicturePoint["made"], { isSeen, isTold }: { isSeen: boolean; isTold: boolean }) {
  const visual = isSeen && made?.visual ? toNumbers(made.visual) : undefined;
  const caption = isTold && made?.caption ? toNumbers(made.caption) : undefined;
  return {
    ...(visual && { [visualName]: visual }),
    ...(caption && { [captionName]: caption }),
    ...(made && { [wordsName]: toSparse(made.terms) }),
  };
}

export function toPicturePayload(tenantId: string, picture: PicturePoint): Payload {
  const { page, box, headings, caption, text, passage } = picture;
  return {
    ...toFacts(tenantId, picture),
    media: picture.pictureId,
    mark: picture.mark,
    // As a kind of passage, for searches that are limited to some.
    kind: "figure",
    type: picture.type,
    width: picture.width,
    height: picture.height,
    ...(page !== undefined && { page }),
    ...(box && { box }),
    ...(headings && headings.length > 0 && { headings }),
    ...(caption !== undefined && { caption }),
    ...(text !== undefined && { text }),
    ...(passage !== undefined && { passage }),
  };
}

/** Fails with `bug` when it is no picture of `tenantId`: what a filter should have kept out must not get further. */
export function toPicture(tenantId: string, payload: Payload | null | undefined): StoredPicture {
  if (payload?.["tenant_id"] !== tenantId) throw new NikaError("bug", "The vector store gave out a picture of another tenant.");
  const text = (key: string): string => {
    const value = payload[key];
    if (typeof value !== "string") throw new NikaError("bug", `A picture in the vector store has no ${key}.`);
    return value;
  };
  const texts = <K extends string>(keys: Readonly<Record<K, string>>): { [key in K]?: string } =>
    pick(payload, keys, "string") as { [key in K]?: string };
  const numbers = <K extends string>(keys: Readonly<Record<K, string>>): { [key in K]?: number } =>
    pick(payload, keys, "number") as { [key in K]?: number };
  const type = text("type");
  return {
    documentId: text("document_id"),
    documentName: text("document_name"),
    title: text("title"),
    ordinal: Number(payload["ordinal"]),
    pictureId: text("media"),
    type: type === "page" || type === "image" ? type : "figure",
    width: Number(payload["width"]),
    height: Number(payload["height"]),
    language: text("language"),
    format: text("format"),
    ...numbers({ page: "page", passage: "passage", writtenAt: "written_at" }),
    ...texts({ caption: "caption", text: "text", author: "author", sha256: "sha256" }),
    ...texts({ scope: "scope", entityType: "entity_type", domain: "domain" }),
    ...(payload["box"] !== undefined && { box: payload["box"] as Box }),
    ...(Array.isArray(payload["headings"]) && { headings: payload["headings"] as string[] }),
    ...(Array.isArray(payload["people"]) && { people: payload["people"] as string[] }),
  };
}

function pick(payload: Payload, keys: Readonly<Record<string, string>>, type: "string" | "number"): Record<string, unknown> {
  const entries = Object.entries(keys).map(([to, from]) => [to, payload[from]] as const);
  // oxlint-disable-next-line valid-typeof -- one of two literals
  return Object.fromEntries(entries.filter(([, value]) => typeof value === type));
}
