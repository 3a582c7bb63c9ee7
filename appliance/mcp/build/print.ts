/**
 * Values of a plan as source code. Everything is written as a literal, so that nothing a document says can become code; laid out as the
 * formatter would, so that what is made passes the same checks as what is written by hand.
 */

const widthMax = 130;
/** Marks that cannot be seen, or end a line for some readers. */
const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** A text in quotes: double ones, unless it holds more of these than of single ones. */
export function printText(text: string): string {
  const json = JSON.stringify(text).replace(hidden, (mark) =>
    Array.from({ length: mark.length }, (_, at) => `\\u${mark.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""),
  );
  const doubles = text.split('"').length;
  if (doubles <= text.split("'").length) return json;
  return `'${json
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replaceAll("'", String.raw`\'`)}'`;
}

/**
 * A value of JSON. `before` is how much of its line is taken already, and `after` how much must still fit behind it. Keys that are undefined are
 * left out. Fails on what is no JSON.
 */
export function printValue(value: unknown, indent = 0, before = indent, after = 1): string {
  if (typeof value === "string") return printText(value);
  if (value === null || typeof value === "number" || typeof value === "boolean") return JSON.stringify(value).replace("e+", "e");
  const line = onOneLine(value);
  if (line !== undefined && before + widthOf(line) + after <= widthMax) return line;
  const inner = " ".repeat(indent + 2);
  const end = " ".repeat(indent);
  if (Array.isArray(value)) {
    // The formatter fills lines with numbers.
    if (value.every((one) => typeof one === "number")) return `[\n${filled(value, indent + 2)}\n${end}]`;
    return `[\n${value.map((one: unknown) => `${inner}${printValue(one, indent + 2)},\n`).join("")}${end}]`;
  }
  if (typeof value !== "object") throw new TypeError("Only JSON can be written as code.");
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return "{}";
  return `{\n${entries.map(([key, one]) => `${inner}${printEntry(key, one, indent + 2)},\n`).join("")}${end}}`;
}

/** Undefined for what the formatter would break, and for objects that are better read on several lines. */
function onOneLine(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return printValue(value);
  if (Array.isArray(value)) {
    const isOf = (is: (one: unknown) => boolean): boolean => value.length > 1 && value.every((one) => is(one));
    if (isOf((one) => Array.isArray(one) && one.length > 1)) return undefined;
    if (isOf((one) => typeof one === "object" && one !== null && !Array.isArray(one) && Object.keys(one).length > 1))
      return undefined;
    const lines = value.map(onOneLine);
    return lines.includes(undefined) ? undefined : `[${lines.join(", ")}]`;
  }
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return "{}";
  const isFlat = entries.every(([, one]) => typeof one !== "object" || one === null || Array.isArray(one));
  const lines = entries.map(([key, one]) => [keyOf(key), onOneLine(one)]);
  if (!isFlat || entries.length > 6 || lines.some(([, line]) => line === undefined)) return undefined;
  return `{ ${lines.map(([key, line]) => `${key}: ${line}`).join(", ")} }`;
}

// As a plain key `__proto__` would set the prototype.
const keyOf = (key: string): string =>
  key === "__proto__" ? '["__proto__"]' : /^[A-Za-z_$][\w$]*$/u.test(key) ? key : printText(key);

function printEntry(key: string, value: unknown, indent: number): string {
  const name = keyOf(key);
  const at = indent + widthOf(name) + 2;
  const printed = printValue(value, indent, at);
  const isLong = typeof value === "string" && at + widthOf(printed) + 1 > widthMax && widthOf(name) > 4;
  return isLong ? `${name}:\n${" ".repeat(indent + 2)}${printed}` : `${name}: ${printed}`;
}

function filled(values: readonly number[], indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const value of values) {
    const next = `${line === "" ? "" : `${line} `}${JSON.stringify(value)},`;
    if (indent + next.length > widthMax && line !== "") {
      lines.push(line);
      line = `${JSON.stringify(value)},`;
    } else line = next;
  }
  return [...lines, line].map((one) => " ".repeat(indent) + one).join("\n");
}

/** Columns: wide letters take two, marks upon letters none. */
function widthOf(text: string): number {
  let width = 0;
  for (const mark of text)
    width += /\p{M}/u.test(mark)
      ? 0
      : /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u.test(
            mark,
          )
        ? 2
        : 1;
  return width;
}
