/** Names that look like other names: slips that someone waits for, letters of other scripts, scopes that are nearly right. Pure. */

export type Warning = {
  readonly code: "lookalike" | "letters" | "scope" | "young" | "publisher" | "ownership" | "deprecated" | "unsigned" | "size";
  /** One sentence for the owner. */
  readonly text: string;
  /** It is installed only when the owner says so although he was told. */
  readonly isGrave: boolean;
};

/** Packages that are worth imitating: the reference servers and what many people use. Of November 2026; installed ones come on top. */
export const wellKnown: readonly string[] = [
  "@modelcontextprotocol/server-everything",
  "@modelcontextprotocol/server-filesystem",
  "@modelcontextprotocol/server-memory",
  "@modelcontextprotocol/server-sequential-thinking",
  "@modelcontextprotocol/server-github",
  "@modelcontextprotocol/server-postgres",
  "@modelcontextprotocol/server-puppeteer",
  "@modelcontextprotocol/server-slack",
  "@modelcontextprotocol/server-brave-search",
  "@modelcontextprotocol/inspector",
  "@modelcontextprotocol/sdk",
  "@playwright/mcp",
  "@upstash/context7-mcp",
  "@notionhq/notion-mcp-server",
  "@supabase/mcp-server-supabase",
  "@stripe/mcp",
  "@sentry/mcp-server",
  "@azure/mcp",
  "@hubspot/mcp-server",
  "@brave/brave-search-mcp-server",
  "chrome-devtools-mcp",
  "firecrawl-mcp",
  "exa-mcp-server",
  "tavily-mcp",
  "figma-developer-mcp",
  "mongodb-mcp-server",
  "mcp-remote",
  "mcp-server-fetch",
  "mcp-server-git",
  "mcp-server-time",
  "mcp-server-sqlite",
  "mcp-server-qdrant",
  "mcp-atlassian",
  "duckduckgo-mcp-server",
];

/** Letters of other scripts, and digits, that are read as Latin ones. */
const confusable: Readonly<Record<string, string>> = {
  а: "a",
  е: "e",
  о: "o",
  р: "p",
  с: "c",
  у: "y",
  х: "x",
  і: "i",
  ј: "j",
  ѕ: "s",
  һ: "h",
  ԁ: "d",
  ԛ: "q",
  ԝ: "w",
  к: "k",
  м: "m",
  т: "t",
  в: "b",
  н: "h",
  α: "a",
  ο: "o",
  ρ: "p",
  ν: "v",
  υ: "u",
  ι: "i",
  κ: "k",
  τ: "t",
  ε: "e",
  ω: "w",
  ß: "b",
  ı: "i",
  ɡ: "g",
  ӏ: "l",
  ⅼ: "l",
  ɩ: "i",
  "0": "o",
  "1": "l",
  "3": "e",
  "5": "s",
  "|": "l",
};

/** What a name looks like at a glance: names that are taken for each other have the same. */
export function skeleton(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return Array.from(plain)
    .map((letter) => confusable[letter] ?? letter)
    .join("")
    .replace(/rn/g, "m")
    .replace(/vv/g, "w")
    .replace(/[^\p{L}\p{N}@/]+/gu, "");
}

/** Slips between two texts: a letter too many, too few, another, or two that changed places. Stops counting above `max`. */
export function slips(left: string, right: string, max: number): number {
  if (Math.abs(left.length - right.length) > max) return max + 1;
  let [before, row]: [number[], number[]] = [[], Array.from({ length: right.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const cost = left[i - 1] === right[j - 1] ? 0 : 1;
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    if (Math.min(...next) > max) return max + 1;
    [before, row] = [row, next];
  }
  return row[right.length] ?? max + 1;
}

const split = (name: string): { readonly scope: string; readonly bare: string } => {
  const at = name.lastIndexOf("/");
  return { scope: at === -1 ? "" : name.slice(0, at), bare: name.slice(at + 1) };
};

/** One slip in a short name is another word; in a long one two are easily overlooked. */
const slipsMax = (name: string): number => (name.length < 6 ? 0 : name.length < 12 ? 1 : 2);

/** How a name could be taken for one that is known; empty for the known ones themselves. One warning each sort, about the nearest. */
export function lookalikes(name: string, known: readonly string[]): Warning[] {
  if (known.includes(name)) return [];
  const found = new Map<Warning["code"], Warning>();
  const warn = (code: Warning["code"], text: string): void => {
    if (!found.has(code)) found.set(code, { code, text, isGrave: true });
  };
  // oxlint-disable-next-line no-control-regex
  if (/[^\u0000-\u007f]/.test(name))
    warn("letters", `"${name}" has letters that are not plain Latin ones; a name can look right and be another.`);
  const [own, shape] = [split(name), skeleton(name)];
  for (const other of known) {
    const theirs = split(other);
    const max = slipsMax(name);
    if (skeleton(other) === shape) warn("letters", `"${name}" reads like "${other}", which is another package.`);
    else if (max > 0 && slips(name, other, max) <= max)
      warn("lookalike", `"${name}" is a slip away from "${other}", which is another package.`);
    else if (own.bare === theirs.bare && own.scope !== theirs.scope && own.bare.length >= 6)
      warn(
        "scope",
        `"${own.bare}" is known as "${other}"; this one is ${own.scope === "" ? "published without that scope" : `published by "${own.scope}"`}.`,
      );
    else if (
      own.scope !== "" &&
      own.scope !== theirs.scope &&
      theirs.scope !== "" &&
      slips(own.scope, theirs.scope, 2) <= 2 &&
      own.scope.length >= 6
    )
      warn("scope", `The publisher "${own.scope}" is a slip away from "${theirs.scope}".`);
  }
  return [...found.values()];
}
