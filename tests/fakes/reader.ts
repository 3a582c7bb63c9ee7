import { NikaError } from "../../convex/model/error.ts";
import type { Reader } from "../../functions/ports/reader.ts";

/** Reads UTF-8 text: one passage per line, the first line is the title. Bytes that are no text are damaged. */
export function fakeReader(): Reader {
  return {
    async entries() {
      throw new NikaError("invalid", "It holds no files.");
    },
    async page() {
      return undefined;
    },
    async read(bytes, { name, signal }) {
      if (signal.aborted) throw new NikaError("cancelled", "Reading was cancelled.");
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
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
