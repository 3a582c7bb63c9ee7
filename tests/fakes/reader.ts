import { NikaError } from "../../convex/model/error.ts";
import type { Bytes } from "../../functions/ports/files.ts";
import type { Reader } from "../../functions/ports/reader.ts";

/**
 * Reads UTF-8 text: one passage per line, the first line is the title. Bytes that are no text are damaged. A file called `*.box` holds
 * files: a JSON object of names and texts, handed out two at a time.
 */
export function fakeReader(): Reader {
  const isHolder = (name: string): boolean => name.endsWith(".box");
  const whole = async (bytes: Bytes, signal: AbortSignal): Promise<Uint8Array> =>
    bytes instanceof Uint8Array ? bytes : Buffer.concat(await Array.fromAsync(bytes.pieces(signal)));
  const held = (bytes: Uint8Array): [string, string][] =>
    Object.entries(JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>);
  return {
    async entries(bytes, { name, from, signal }) {
      if (signal.aborted) throw new NikaError("cancelled", "Reading was cancelled.");
      if (!isHolder(name)) throw new NikaError("invalid", "It holds no files.");
      const all = held(await whole(bytes, signal));
      const entries = all.slice(from, from + 2).map(([one, text]) => ({ name: one, bytes: new TextEncoder().encode(text) }));
      return { entries, ...(from + 2 < all.length && { next: from + 2 }) };
    },
    async page() {
      return undefined;
    },
    async read(bytes, { name, signal }) {
      if (signal.aborted) throw new NikaError("cancelled", "Reading was cancelled.");
      if (isHolder(name)) return { type: "holder", format: "archive", entries: held(await whole(bytes, signal)).length };
      const read = await whole(bytes, signal);
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(read);
      } catch {
        return { type: "unreadable", problem: "damaged" };
      }
      const lines = text.split("\n").filter((line) => line.trim() !== "");
      if (lines.length === 0) return { type: "unreadable", problem: "noText" };
      const passages = lines.map((line, i) => ({ text: line, place: { lines: { from: i + 1, to: i + 1 } } }));
      return { type: "read", format: "text", title: lines[0] ?? name, language: "en", passages };
    },
  };
}
