/** The secrets that servers were started with, so that they are not shown where a server says them again. */

export type Known = {
  /** Of a server, from now on. Short values would be found everywhere and are left out. */
  note(server: string, values: Iterable<string>): void;
  /** The text without the server's own secrets. The same text when it holds none. */
  redact(server: string, text: string): string;
  /** Whether there is anything to look for. */
  has(server: string): boolean;
};

const charsMin = 6;
/** A credential that is replaced is forgotten after some more. */
const keptMax = 64;

/** In memory alone. */
export function openKnown(): Known {
  const known = new Map<string, Set<string>>();
  return {
    note(server, values) {
      const mine = known.get(server) ?? new Set<string>();
      for (const value of [...values].flatMap((one) => [one, one.replace(/^(?:Bearer|Basic|Token)\s+/i, "")])) {
        if (value.length < charsMin) continue;
        mine.delete(value);
        mine.add(value);
      }
      for (const oldest of mine) {
        if (mine.size <= keptMax) break;
        mine.delete(oldest);
      }
      known.set(server, mine);
    },
    redact(server, text) {
      let left = text;
      for (const value of known.get(server) ?? []) if (left.includes(value)) left = left.replaceAll(value, "•••");
      return left;
    },
    has: (server) => (known.get(server)?.size ?? 0) > 0,
  };
}
