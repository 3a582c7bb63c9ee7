import { v, type Infer } from "convex/values";

/** Left, top, width and height as fractions of the page, from 0 to 1: true at every size the page is shown at. */
export const vBox = v.object({ left: v.number(), top: v.number(), width: v.number(), height: v.number() });
export type Box = Infer<typeof vBox>;

/**
 * Where in its document a passage comes from. Every number counts from 1, as people do. Absent parts do not apply to the format.
 */
export const vPlace = v.object({
  page: v.optional(v.number()),
  /** Heading path, outermost first. */
  headings: v.optional(v.array(v.string())),
  /** First and last line of the source text. */
  lines: v.optional(v.object({ from: v.number(), to: v.number() })),
  /** First and last row of a table, the header row not counted. */
  rows: v.optional(v.object({ from: v.number(), to: v.number() })),
  /** First and last record of a json array or jsonl file. */
  records: v.optional(v.object({ from: v.number(), to: v.number() })),
  /** The part of a mail: "body", or the attachment's name. */
  part: v.optional(v.string()),
  /** The sheet of a workbook. */
  sheet: v.optional(v.string()),
  /** The part of the page (or of the picture, when the document is one) it covers. */
  box: v.optional(vBox),
});
export type Place = Infer<typeof vPlace>;

const words = {
  en: { page: "p.", line: "line", lines: "lines", row: "row", rows: "rows", record: "record", records: "records" },
  fr: { page: "p.", line: "ligne", lines: "lignes", row: "rangée", rows: "rangées", record: "entrée", records: "entrées" },
} as const;

/** A place as a person cites it: "p. 3 · Budget › Travel · lines 10–14". Empty when nothing is known. */
export function placeLabel(place: Place, language: keyof typeof words): string {
  const word = words[language];
  const span = (range: { from: number; to: number } | undefined, one: string, many: string): string | undefined =>
    range && (range.from === range.to ? `${one} ${range.from}` : `${many} ${range.from}–${range.to}`);
  return [
    place.part,
    place.sheet,
    place.page === undefined ? undefined : `${word.page} ${place.page}`,
    place.headings?.length ? place.headings.join(" › ") : undefined,
    span(place.rows, word.row, word.rows),
    span(place.records, word.record, word.records),
    place.page === undefined ? span(place.lines, word.line, word.lines) : undefined,
  ]
    .filter((part) => part !== undefined && part !== "")
    .join(" · ");
}
