/** Text for a terminal: what may be shown, how wide it is, where it breaks. Pure. */

/**
 * Documents are written by strangers, and a terminal obeys escape sequences. Every control character but the line break becomes a
 * space, and so do the marks that turn the direction of writing around. Keeps every UTF-16 offset where it was.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, " ");
}

/** The same on one line. */
export function oneLine(text: string): string {
  return printable(text).replace(/\s+/g, " ").trim();
}

const zeroWidth = /^[\p{Mark}\p{Format}]$/u;
const doubleWidth =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303F\uFF01-\uFF60]$/u;

/** Columns a text takes: East Asian characters and emoji take two, combining marks none. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += columnsOfCharacter(character);
  return columns;
}

function columnsOfCharacter(character: string): number {
  if (character < "\u0300") return 1;
  if (zeroWidth.test(character)) return 0;
  return doubleWidth.test(character) ? 2 : 1;
}

/** Cut to `columns`, the last one an ellipsis when something was cut. */
export function fit(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let used = 1;
  let kept = "";
  for (const character of text) {
    used += columnsOfCharacter(character);
    if (used > columns) break;
    kept += character;
  }
  return `${kept}…`;
}

/** Filled with spaces on the right (or left, for numbers). */
export function pad(text: string, columns: number, side: "left" | "right" = "right"): string {
  const space = " ".repeat(Math.max(0, columns - columnsOf(text)));
  return side === "right" ? text + space : space + text;
}

/** Lines of at most `columns`. Breaks at spaces, and inside a word only when the word is longer than a line. */
export function wrap(text: string, columns: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, Math.max(1, columns)));
}

function wrapLine(line: string, columns: number): string[] {
  if (!Number.isFinite(columns) || columnsOf(line) <= columns) return [line.trimEnd()];
  const lines: string[] = [];
  let current = "";
  let used = 0;
  for (const word of line.split(/(?<= )/)) {
    // The space at the end of a word may hang over the edge: it is cut off below.
    if (used > 0 && used + columnsOf(word.trimEnd()) > columns) {
      lines.push(current.trimEnd());
      current = "";
      used = 0;
    }
    for (const character of word) {
      const width = columnsOfCharacter(character);
      if (used + width > columns && character !== " ") {
        lines.push(current.trimEnd());
        current = "";
        used = 0;
      }
      current += character;
      used += width;
    }
  }
  return current.trim() === "" ? lines : [...lines, current.trimEnd()];
}

/** `give`: the columns that become narrower when the whole is wider than `width`, first to last, each down to `columnMin`. */
export type TableOptions = { readonly width: number; readonly give: readonly number[]; readonly right?: readonly number[] };

/** Narrower than this a text says nothing. */
const columnMin = 12;

/** Rows as aligned columns; without a width, which is to say piped, with a tab between columns, as `cut` likes them. */
export function table(rows: readonly (readonly string[])[], { width, give, right = [] }: TableOptions): string[] {
  if (!Number.isFinite(width)) return rows.map((row) => row.join("\t"));
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) => Math.max(0, ...rows.map((row) => columnsOf(row[column] ?? ""))));
  let over = widths.reduce((sum, one) => sum + one, 0) + 2 * Math.max(0, count - 1) - width;
  for (const column of give) {
    const given = Math.min(Math.max(0, over), Math.max(0, (widths[column] ?? 0) - columnMin));
    widths[column] = (widths[column] ?? 0) - given;
    over -= given;
  }
  const cell = (text: string, column: number): string =>
    pad(fit(text, widths[column] ?? 0), widths[column] ?? 0, right.includes(column) ? "left" : "right");
  return rows.map((row) => row.map(cell).join("  ").trimEnd());
}

/** "3.4 MB"; decimal units, as disks and file managers use them. */
export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "12 s", "3 min", "2 h", "5 d": how long something took or has been going on. */
export function spanOf(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** "1 document", "3 documents", "1,200 documents". */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** Day and time by the clock of this terminal, as in 2026-11-21 09:30. */
export function momentOf(at: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = new Date(at);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
