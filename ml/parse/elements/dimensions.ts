/** What mechanical drawings say: sizes, fits, tolerances, threads, roughness, angles, geometrical tolerances. Millimetres and degrees. */
import type { Found } from "./found.ts";

const digits = "\\d{1,5}(?:[.,]\\d{1,4})?";
const fit = "[A-Za-z]{1,2}\\d{1,2}";
const marks: Readonly<Record<string, string>> = {
  "⏤": "straightness",
  "⏥": "flatness",
  "○": "circularity",
  "⌭": "cylindricity",
  "⌒": "profile of a line",
  "⌓": "profile of a surface",
  "⊥": "perpendicularity",
  "⟂": "perpendicularity",
  "∠": "angularity",
  "∥": "parallelism",
  "⫽": "parallelism",
  "⌖": "position",
  "◎": "concentricity",
  "⌯": "symmetry",
  "↗": "circular run-out",
  "⌰": "total run-out",
};

type Rule = { readonly type: string; readonly shape: RegExp; readonly value: (match: RegExpMatchArray) => string | undefined };

const rules: readonly Rule[] = [
  {
    type: "geometricTolerance",
    shape: new RegExp(
      `([${Object.keys(marks).join("")}])\\s*\\|?\\s*([⌀Øø∅]?)\\s*(${digits})(?:\\s*[ⓂⓁⓅ])?((?:\\s*\\|?\\s*[A-Z](?![\\p{L}\\d])){0,3})`,
      "gu",
    ),
    value: ([, mark = "", round = "", size = "", datums = ""]) => {
      // A circle or an angle mark before a plain number is that number's, unless datums follow.
      if ((mark === "○" || mark === "∠") && datums.trim() === "") return undefined;
      return [marks[mark], `${round ? "⌀" : ""}${plain(size)}`, ...(datums.match(/[A-Z]/gu) ?? [])].join(" ");
    },
  },
  {
    type: "thread",
    shape: new RegExp(
      `(?<![\\p{L}\\d])M(\\d{1,3}(?:[.,]\\d)?)(?:\\s?[x×]\\s?(\\d{1,2}(?:[.,]\\d{1,2})?))?(?:\\s?[x×]\\s?(\\d{1,4}))?(?:\\s?[-–]\\s?(\\d[gGhHeEfF](?:\\d[gGhH])?))?(?![\\p{L}\\d]|[.,]\\d)`,
      "gu",
    ),
    value: ([, size = "", pitch, length, grade]) => {
      if (Number(plain(size)) < 1 || Number(plain(size)) > 300) return undefined;
      // A "pitch" of whole large numbers is a screw's length.
      const isLength = pitch !== undefined && length === undefined && Number(plain(pitch)) > 6;
      return `M${plain(size)}${pitch ? `${isLength ? " length " : "x"}${plain(pitch)}` : ""}${length ? ` length ${length}` : ""}${grade ? `-${grade}` : ""}`;
    },
  },
  {
    type: "thread",
    shape: /(?<![\p{L}\d])(?:G|R|Rc|Rp)\s?(\d{1,2}(?:\s\d\/\d{1,2})?|\d\/\d{1,2})\s?(?:"|″)?(?=[\s,.;)]|$)(?<=["″/]\d*["″]?)/gu,
    value: ([text]) => text.replaceAll(/[\s"″]/gu, ""),
  },
  {
    type: "roughness",
    shape: new RegExp(`(?<![\\p{L}\\d])(R[azqt])\\s*(?:max\\.?|≤|<)?\\s*(${digits})\\s*(?:[µμ]m)?`, "gu"),
    value: ([, kind = "", size = ""]) => `${kind} ${plain(size)}`,
  },
  {
    type: "diameter",
    shape: new RegExp(
      `[⌀Øø∅]\\s?(${digits})(?:\\s?(${fit})(?![\\p{L}\\d]))?(?:\\s?(?:±\\s?(${digits})|([+]${digits})\\s*/?\\s*([-−+]?${digits})))?`,
      "gu",
    ),
    value: ([, size = "", grade, even, up, down]) => `⌀${plain(size)}${grade ? ` ${grade}` : ""}${limits(even, up, down)}`,
  },
  {
    type: "dimension",
    shape: new RegExp(
      `(?<![\\p{L}\\d.,±+-])(${digits})\\s?(?:mm)?\\s?(?:±\\s?(${digits})|([+]\\s?${digits})\\s*/\\s*([-−+]?\\s?${digits}))\\s?(mm|°)?(?![\\d%])`,
      "gu",
    ),
    value: ([, size = "", even, up, down, unit]) => `${plain(size)}${unit === "°" ? "°" : ""}${limits(even, up, down)}`,
  },
  {
    type: "dimension",
    shape: new RegExp(
      `(?<![\\p{L}\\d.,])(\\d{1,4}(?:[.,]\\d{1,3})?)\\s([A-HJ-NP-ZJSa-hj-np-zjs]{1,2}(?:[5-9]|1[0-4]))(?:\\s?/\\s?([a-z]{1,2}\\d{1,2}))?(?![\\p{L}\\d])`,
      "gu",
    ),
    value: ([, size = "", hole = "", shaft]) => `${plain(size)} ${hole}${shaft ? `/${shaft}` : ""}`,
  },
  {
    type: "radius",
    shape: new RegExp(`(?<![\\p{L}\\d])(S?R)\\s?(${digits})(?:\\s?±\\s?(${digits}))?(?:\\s?mm)?(?![\\p{L}\\d])`, "gu"),
    value: ([, kind = "", size = "", even]) => `${kind}${plain(size)}${limits(even, undefined, undefined)}`,
  },
  {
    type: "chamfer",
    shape: new RegExp(`(?<![\\p{L}\\d.,])(${digits})\\s?[x×]\\s?(${digits})\\s?°`, "gu"),
    value: ([, size = "", angle = ""]) => `${plain(size)}x${plain(angle)}°`,
  },
  {
    type: "angle",
    shape: new RegExp(`(?<![\\p{L}\\d.,])(${digits})\\s?°(?:\\s?±\\s?(${digits})\\s?°?)?(?!\\s?[CFKN]\\b)(?!\\d)`, "gu"),
    value: ([, size = "", even]) =>
      Number(plain(size)) <= 360 ? `${plain(size)}°${limits(even, undefined, undefined)}` : undefined,
  },
];

/** A text must look like a drawing's before a bare "R5" or "45°" counts: at least this many of these shapes, or one that nothing else has. */
const weakTypes = new Set(["radius", "angle", "dimension", "thread"]);
const sure = new RegExp(
  `[⌀Ø∅]\\s?\\d|±\\s?\\d|(?<!\\p{L})R[az]\\s?\\d|[⏥⌭⊥⟂∥⌖◎⌯⌰]|ISO\\s?2768|(?<!\\p{L})M\\d{1,2}\\s?[x×]\\s?\\d`,
  "u",
);

export function findDimensions(text: string): Found[] {
  const isDrawing = sure.test(text);
  const found: Found[] = [];
  for (const { type, shape, value } of rules) {
    for (const match of text.matchAll(shape)) {
      if (weakTypes.has(type) && !isDrawing && !isExplicit(match[0])) continue;
      const [from, to] = [match.index, match.index + match[0].length];
      if (found.some((other) => from < other.at + other.text.length && to > other.at)) continue;
      const normal = value(match);
      if (normal !== undefined)
        found.push({ type, text: match[0].trim(), value: normal, at: from + (match[0].length - match[0].trimStart().length) });
    }
  }
  return found.toSorted((one, other) => one.at - other.at);
}

function isExplicit(text: string): boolean {
  return /±|[x×]\s?\d/u.test(text);
}

function limits(even: string | undefined, up: string | undefined, down: string | undefined): string {
  if (even !== undefined) return ` ±${plain(even)}`;
  if (up === undefined || down === undefined) return "";
  const low = plain(down);
  return ` ${plain(up)}/${/^[+-]/u.test(low) || Number(low) === 0 ? low : `-${low}`}`;
}

function plain(number: string): string {
  return number.replaceAll(/\s/gu, "").replace("−", "-").replace(",", ".");
}
