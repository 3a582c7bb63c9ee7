import type { format, getFormatFromId, isDateFormat, isValidFormat } from "numfmt";
import { attributeOf, readXml } from "../xml.ts";

/** A number as its cell shows it. */
export type CellFormat = (value: number) => string;

/** What is used of the library, which is loaded when the first workbook is. */
type Numfmt = {
  readonly format: typeof format;
  readonly getFormatFromId: typeof getFormatFromId;
  readonly isDateFormat: typeof isDateFormat;
  readonly isValidFormat: typeof isValidFormat;
};

/** Dates whose look is left to the reader's country: written so that no country is needed. */
const neutral: Readonly<Record<number, string>> = { 14: "yyyy-mm-dd", 22: "yyyy-mm-dd hh:mm" };
/** Formats longer than this were not made by a person. */
const patternCharsMax = 255;
const secondsPerDay = 86_400;
/** Days between 1900-01-00 and 1904-01-01, the other day that workbooks count from. */
const daysTo1904 = 1_462;

/** How the cells of each style show their number, by the style's number. */
export async function readFormats(bytes: Uint8Array | undefined, is1904: boolean): Promise<CellFormat[]> {
  const patterns = new Map<number, string>();
  const styles: number[] = [];
  let isCells = false;
  if (bytes)
    await readXml(bytes, {
      open: (name, attributes) => {
        if (name === "numFmt") patterns.set(Number(attributes["numFmtId"]), attributeOf(attributes, "formatCode") ?? "");
        else if (name === "cellXfs") isCells = true;
        else if (name === "xf" && isCells) styles.push(Number(attributes["numFmtId"] ?? 0));
      },
      close: (name) => {
        if (name === "cellXfs") isCells = false;
      },
    });
  const numfmt = await import("numfmt");
  const known = new Map<number, CellFormat>();
  return styles.map((id) => {
    const own = known.get(id);
    if (own) return own;
    const pattern = patterns.get(id) ?? neutral[id] ?? numfmt.getFormatFromId(id) ?? "General";
    const made = toFormat(pattern, is1904, numfmt);
    known.set(id, made);
    return made;
  });
}

function toFormat(pattern: string, is1904: boolean, numfmt: Numfmt): CellFormat {
  if (pattern === "General" || pattern === "" || pattern.length > patternCharsMax || !numfmt.isValidFormat(pattern))
    return general;
  const isDate = numfmt.isDateFormat(pattern);
  const shown = (value: number): string => numfmt.format(pattern, value, { throws: false }).replaceAll(/\s+/gu, " ").trim();
  if (!isDate) return (value) => shown(value) || general(value);
  return (value) => {
    const serial = is1904 ? value + daysTo1904 : value;
    // Clocks count fractions of days, and a last digit lost turns a full hour into one second less.
    return shown(Math.round(serial * secondsPerDay) / secondsPerDay) || general(value);
  };
}

/** A number without a format: fifteen digits are true, the rest is how floating point numbers are kept. */
function general(value: number): string {
  const short = Number(value.toPrecision(15));
  return Math.abs(short) >= 1e21 || (short !== 0 && Math.abs(short) < 1e-9) ? String(short) : plain(short);
}

function plain(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(12).replace(/0+$/u, "") : text;
}
