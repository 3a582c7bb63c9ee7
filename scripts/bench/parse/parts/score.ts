/** How much of what stands in a file was read, and how well its tables were. */

/** A grid of cells; the first row is the header, if there is one. A cell that covers several is repeated in each. */
export type Grid = readonly (readonly string[])[];
/** What stands in a file. A piece with several forms (a number as kept and as shown) counts as read in any of them. */
export type Truth = { readonly pieces: readonly (readonly string[])[]; readonly grids: readonly Grid[] };

/** Words and numbers of a text, each as often as it occurs. */
function tokensOf(text: string): string[] {
  return (
    text
      .normalize("NFKC")
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  );
}

/** Share of the truth's words that were read, 0 to 1; each reading of a word counts once. */
export function recall(truth: Truth, text: string): number {
  const left = new Map<string, number>();
  for (const token of tokensOf(text)) left.set(token, (left.get(token) ?? 0) + 1);
  let found = 0;
  let wanted = 0;
  for (const forms of truth.pieces) {
    const tries = forms.map((form) => {
      const tokens = tokensOf(form);
      return { tokens, share: tokens.filter((token) => (left.get(token) ?? 0) > 0).length / Math.max(1, tokens.length) };
    });
    const best = tries.toSorted((one, other) => other.share - one.share)[0];
    for (const token of best?.tokens ?? []) {
      wanted += 1;
      const count = left.get(token) ?? 0;
      if (count === 0) continue;
      found += 1;
      left.set(token, count - 1);
    }
  }
  return wanted === 0 ? 1 : found / wanted;
}

/**
 * F1 over neighbours: each pair of cells side by side or one above the other, empty ones passed over, as tables are compared in the
 * literature (Göbel and others, 2012). `forms` brings a cell's several forms to one.
 */
export function tableF1(truth: readonly Grid[], read: readonly Grid[], forms: ReadonlyMap<string, string>): number {
  const wanted = pairsOf(truth, forms);
  const found = pairsOf(read, forms);
  let both = 0;
  for (const [pair, count] of found) both += Math.min(count, wanted.get(pair) ?? 0);
  const total = (pairs: ReadonlyMap<string, number>): number => [...pairs.values()].reduce((sum, count) => sum + count, 0);
  const [all, given] = [total(wanted), total(found)];
  return all + given === 0 ? 1 : (2 * both) / (all + given);
}

function pairsOf(grids: readonly Grid[], forms: ReadonlyMap<string, string>): Map<string, number> {
  const pairs = new Map<string, number>();
  const add = (kind: string, one: string, other: string | undefined): void => {
    // One cell beside itself is a cell that covers two places.
    if (other === undefined || one === other) return;
    const pair = `${kind}\u0000${one}\u0000${other}`;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  };
  for (const grid of grids) {
    const cells = grid.map((row) => row.map((cell) => normal(cell, forms)));
    for (const [y, row] of cells.entries())
      for (const [x, cell] of row.entries()) {
        if (cell === "") continue;
        add(
          "right",
          cell,
          row.slice(x + 1).find((next) => next !== ""),
        );
        add(
          "down",
          cell,
          cells
            .slice(y + 1)
            .map((below) => below[x] ?? "")
            .find((next) => next !== ""),
        );
      }
  }
  return pairs;
}

/** A cell without what is no word: marks of Markdown, spaces, case. */
export function normal(cell: string, forms: ReadonlyMap<string, string>): string {
  const text = cell
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[*_`\\]/gu, "")
    .replaceAll(/\s+/gu, " ")
    .trim();
  return forms.get(text) ?? text;
}

/** The tables of a Markdown text, as the peer writes them. */
export function gridsOf(markdown: string): Grid[] {
  const grids: string[][][] = [];
  let open: string[][] | undefined;
  for (const line of markdown.split("\n")) {
    const text = line.trim();
    if (!text.startsWith("|")) {
      open = undefined;
      continue;
    }
    if (/^\|[\s:|-]+\|?$/u.test(text) && text.includes("-")) continue;
    if (!open) grids.push((open = []));
    open.push(
      text
        .replace(/^\|/u, "")
        .replace(/\|$/u, "")
        .split(/(?<!\\)\|/u)
        .map((cell) => cell.trim()),
    );
  }
  return grids;
}
