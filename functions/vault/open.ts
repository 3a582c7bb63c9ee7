import type { OpenedPassage } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import { placeLabel } from "../../convex/model/place.ts";
import { defineCall } from "../define.ts";

export type Opening = {
  readonly tenantId: string;
  readonly documentId: string;
  /** Position of the passage in its document, from 0. */
  readonly ordinal: number;
  /** Of the labels of places; "en" unless said. */
  readonly language?: "en" | "fr" | undefined;
};

const deadlineMs = 15_000;
/** On each side of the passage, at most: what one reads to understand it. */
const around = 12;

/** A passage with the others of its section, in order. Fails with `missing` when there is no such passage. */
export const openVault = defineCall({
  name: "vault.open",
  needs: ["vectors"],
  deadlineMs,
  run: async ({ tenantId, documentId, ordinal, language = "en" }: Opening, { vectors }, signal): Promise<OpenedPassage> => {
    if (!Number.isInteger(ordinal) || ordinal < 0) throw new NikaError("invalid", "A passage is named by its number, from 0.");
    const near = await vectors.passages(
      { tenantId, documentId, from: Math.max(0, ordinal - around), to: ordinal + around },
      signal,
    );
    const self = near.find((passage) => passage.ordinal === ordinal);
    if (!self) throw new NikaError("missing", "There is no such passage; its document may have been forgotten.");
    const section = near.filter((passage) => self.section === undefined || passage.section === self.section);
    const [first, last] = [section[0] ?? self, section.at(-1) ?? self];
    return {
      documentId,
      documentName: self.documentName,
      title: self.title,
      ordinal,
      passages: section.map(({ ordinal: at, text, place, kind }) => ({
        ordinal: at,
        text,
        place,
        placeLabel: placeLabel(place, language),
        ...(kind !== undefined && { kind }),
      })),
      hasBefore: first.ordinal > 0,
      hasAfter: near.some((passage) => passage.ordinal > last.ordinal) || last.ordinal === ordinal + around,
    };
  },
});
