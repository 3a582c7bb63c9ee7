/** Tools of MCP servers: their public names, what is pinned of them, how they changed, and their shapes for models. Pure. */
import type { ToolClass, ToolPolicy } from "./server.ts";

/** As a server lists it; what else it says is passed through untouched. */
export type ToolDefinition = {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema: Readonly<Record<string, unknown>>;
  readonly outputSchema?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, unknown>>;
};

/** Model APIs refuse more than this, and anything but letters, digits, `_` and `-`. */
export const toolNameCharsMax = 64;
const keptChars = 55;

/**
 * Public names of one server's tools: `mcp_<server>__<tool>`, or the tool's own where `isPrefixed` is false. A function of the server and
 * its own tools alone, so another server never renames one. `digest` gives hex of at least 8 digits.
 */
export function publicNames(
  server: string,
  tools: readonly string[],
  { isPrefixed, digest }: { readonly isPrefixed: boolean; readonly digest: (text: string) => string },
): Map<string, string> {
  const whole = (tool: string): string => (isPrefixed ? `mcp_${server}__${tool}` : tool);
  const plain = (tool: string): string => whole(tool).replace(/[^A-Za-z0-9_-]/g, "_");
  const isExact = (tool: string): boolean => plain(tool) === whole(tool);
  const hashed = (tool: string): string => `${plain(tool).slice(0, keptChars)}_${digest(`${server}\0${tool}`).slice(0, 8)}`;
  const sharers = new Map<string, number>();
  for (const tool of tools) sharers.set(plain(tool), (sharers.get(plain(tool)) ?? 0) + 1);
  const names = new Map<string, string>();
  for (const tool of tools) {
    const name = plain(tool);
    // Of those that would share a name, the one whose own it is keeps it.
    const isAmbiguous = !isExact(tool) && (sharers.get(name) ?? 0) > 1;
    names.set(tool, name.length > toolNameCharsMax || isAmbiguous || name === "" ? hashed(tool) : name);
  }
  return names;
}

// --- shapes for models

export type AnthropicTool = { readonly name: string; readonly description: string; readonly input_schema: object };
export type OpenAiTool = {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description: string; readonly parameters: object };
};
export type GeminiTool = { readonly name: string; readonly description: string; readonly parametersJsonSchema: object };

/** What a model is told a tool does. */
const told = ({ title, description }: ToolDefinition): string => description ?? title ?? "";

/** `name` is the public one, here and below. */
export const toAnthropic = (name: string, tool: ToolDefinition): AnthropicTool => ({
  name,
  description: told(tool),
  input_schema: rooted(tool.inputSchema),
});

export const toOpenAi = (name: string, tool: ToolDefinition): OpenAiTool => ({
  type: "function",
  function: { name, description: told(tool), parameters: rooted(tool.inputSchema) },
});

/** Gemini takes JSON Schema under `parametersJsonSchema`, and refuses names that begin with a digit or hyphen. */
export const toGemini = (name: string, tool: ToolDefinition): GeminiTool => ({
  name: /^[A-Za-z_]/.test(name) ? name : `_${name}`.slice(0, toolNameCharsMax),
  description: told(tool),
  parametersJsonSchema: rooted(tool.inputSchema),
});

/** The three of them want an object with properties at the root, and know nothing of `$schema`. */
function rooted({ $schema: _dialect, ...schema }: Readonly<Record<string, unknown>>): object {
  return { ...schema, type: "object", properties: schema["properties"] ?? {} };
}

// --- pins

/** Keys sorted at every depth, nothing undefined: equal values are equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonicalJson(one ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  entries.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(",")}}`;
}

/** All of a tool that a model sees. */
export function pinnedPart({ name, title, description, inputSchema, outputSchema, annotations }: ToolDefinition): ToolDefinition {
  return {
    name,
    inputSchema,
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    ...(outputSchema !== undefined && { outputSchema }),
    ...(annotations !== undefined && { annotations }),
  };
}

const linesMax = 40;
const valueCharsMax = 160;

/** What is different, a line each, for people: `description: "a" → "b"`. At most 40 lines. */
export function diffOf(before: unknown, after: unknown): string[] {
  const lines: string[] = [];
  walk(before, after, "", lines);
  return lines.length > linesMax ? [...lines.slice(0, linesMax), `… and ${lines.length - linesMax} more`] : lines;
}

function walk(before: unknown, after: unknown, path: string, lines: string[]): void {
  if (canonicalJson(before) === canonicalJson(after)) return;
  const isTree = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      walk(before[key], after[key], path === "" ? key : `${path}.${key}`, lines);
    return;
  }
  const at = path === "" ? "all of it" : path;
  if (before === undefined) lines.push(`${at}: new: ${shown(after)}`);
  else if (after === undefined) lines.push(`${at}: gone: ${shown(before)}`);
  else lines.push(`${at}: ${shown(before)} → ${shown(after)}`);
}

/** Marks nobody would see are written out. */
function shown(value: unknown): string {
  const text = canonicalJson(value).replace(
    /[\p{Cf}\p{Cc}\p{Co}\u{E0100}-\u{E01EF}]/gu,
    (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`,
  );
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax)}…` : text;
}

export type Standing = "approved" | "new" | "changed" | "renamed";
export type Judged = {
  readonly name: string;
  readonly standing: Standing;
  /** Of a changed or renamed one: how it differs from what was approved. */
  readonly diff: readonly string[];
  /** Of a renamed one: what it was called. */
  readonly before?: string;
};

/**
 * Compares what a server lists with what was approved. A tool that is new and has the arguments of one that is gone counts as that one
 * renamed: renaming is how a pin is got round.
 */
export function judge(pinned: Readonly<Record<string, ToolDefinition>>, listed: readonly ToolDefinition[]): Judged[] {
  const names = new Set(listed.map(({ name }) => name));
  const gone = Object.values(pinned).filter(({ name }) => !names.has(name));
  return listed.map((tool) => {
    const { name } = tool;
    const old = Object.hasOwn(pinned, name) ? pinned[name] : undefined;
    const now = pinnedPart(tool);
    if (old) {
      const isSame = canonicalJson(old) === canonicalJson(now);
      return { name, standing: isSame ? "approved" : "changed", diff: isSame ? [] : diffOf(old, now) };
    }
    const former = gone.find(({ inputSchema }) => canonicalJson(inputSchema) === canonicalJson(tool.inputSchema));
    if (!former || Object.keys(toProperties(tool)).length === 0) return { name, standing: "new", diff: [] };
    return { name, standing: "renamed", before: former.name, diff: diffOf(former, now) };
  });
}

const toProperties = ({ inputSchema }: ToolDefinition): object => (inputSchema["properties"] as object | undefined) ?? {};

// --- what looks like poison

export type Finding = { readonly path: string; readonly what: string };

/** Phrases that speak to a model about something else than what it asked. A hint for whoever looks, not a verdict. */
export const speakingPhrases: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:ignore|disregard|forget)\b.{0,30}\b(?:previous|prior|above|earlier|all|other)\b.{0,30}\b(?:instruction|rule|prompt|message|tool)/is,
    "tells the model to ignore its instructions",
  ],
  [
    /\b(?:do not|don't|never|without)\b.{0,20}\b(?:tell|mention|inform|notify|show|reveal|telling|mentioning|informing)\b.{0,30}\b(?:user|human|person|anyone)/is,
    "tells the model to hide something from you",
  ],
  [/<\s*\/?\s*(?:important|system|secret|instructions?|hidden|admin)\s*>/i, "carries a tag that looks like an instruction"],
  [
    /\b(?:before|after|whenever|instead of)\b.{0,20}\b(?:using|calling|use|call|invok\w+)\b.{0,30}\b(?:this|any|other|another|every)\b.{0,15}\btools?\b/is,
    "says what to do around other tools",
  ],
  [
    /\b(?:send|forward|upload|post|include|pass|copy)\b.{0,60}\b(?:conversation|chat history|system prompt|previous messages|credentials?|api keys?|passwords?)\b/is,
    "asks for the conversation or for credentials",
  ],
];

/** What has no place in the description of a tool. */
const oddPhrases: readonly (readonly [RegExp, string])[] = [
  ...speakingPhrases,
  [
    /(?:~|\$HOME|\/root|\/home\/\w+)?\/\.(?:ssh|aws|gnupg|kube|docker)\b|\bid_(?:rsa|ed25519)\b|\bmcp\.json\b|\/etc\/(?:passwd|shadow)\b/i,
    "names files where secrets are kept",
  ],
  [/<!--/, "carries a comment that a page would not show"],
  [/[A-Za-z0-9+/]{160,}={0,2}/, "carries a long run of encoded text"],
];

/** Marks without a picture: zero-width, direction, tags, private use, and the selectors that smuggle bytes. */
const invisible = /[\p{Cf}\p{Co}\u115F\u1160\u3164\uFFA0]|[\u{E0100}-\u{E01EF}]|\u034F|\u17B4|\u17B5/u;
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/;

/** Everything in a tool's texts that an owner should look at before approving it. */
export function lint(tool: unknown): Finding[] {
  const found: Finding[] = [];
  for (const [path, text] of textsOf(tool, "")) {
    if (invisible.test(text)) found.push({ path, what: "holds characters that cannot be seen" });
    if (control.test(text)) found.push({ path, what: "holds control characters" });
    for (const [pattern, what] of oddPhrases) if (pattern.test(text.slice(0, 20_000))) found.push({ path, what });
  }
  return found;
}

function* textsOf(value: unknown, path: string, depth = 0): Generator<[string, string]> {
  if (typeof value === "string") yield [path, value];
  if (typeof value !== "object" || value === null || depth > 64) return;
  for (const [key, one] of Object.entries(value)) {
    const at = path === "" ? key : `${path}.${key}`;
    // Names of arguments are read by models, too.
    yield [`${at} (its name)`, key];
    yield* textsOf(one, at, depth + 1);
  }
}

// --- policy

export type Ruling = { readonly class: ToolClass; readonly approval: "never" | "ask" | "refuse" };

/**
 * What a call of this tool is, and whether it may go ahead. What the server says of itself can only make it stricter: a tool that says
 * it destroys is asked about, whatever `*` says; one that says it only reads is believed nothing for it but its label.
 */
export function rule(tool: ToolDefinition, policy: Readonly<Record<string, ToolPolicy>>): Ruling {
  const own = Object.hasOwn(policy, tool.name) ? policy[tool.name] : undefined;
  const rest = Object.hasOwn(policy, "*") ? policy["*"] : undefined;
  const claimed: ToolClass =
    tool.annotations?.["destructiveHint"] === true && tool.annotations["readOnlyHint"] !== true
      ? "destructive"
      : tool.annotations?.["readOnlyHint"] === true
        ? "read"
        : "write";
  const toolClass = own?.class ?? (claimed === "destructive" ? claimed : (rest?.class ?? claimed));
  const approval =
    own?.approval ?? (toolClass === "destructive" && rest?.approval !== "refuse" ? "ask" : (rest?.approval ?? "never"));
  return { class: toolClass, approval };
}

// --- search

/** Tools whose names and texts hold the words, best first: words in names weigh most, rare words more than common ones. */
export function searchTools<T extends { readonly name: string; readonly text: string }>(
  tools: readonly T[],
  query: string,
  limit: number,
): T[] {
  const wanted = [...new Set(wordsOf(query))];
  const read = tools.map((tool) => ({ tool, names: new Set(wordsOf(tool.name)), words: new Set(wordsOf(tool.text)) }));
  const scored = read.map(({ tool, names, words }) => {
    let score = 0;
    for (const word of wanted) {
      const holders = read.filter((one) => hasWord(one.names, word) || hasWord(one.words, word)).length;
      const rarity = Math.log(1 + tools.length / Math.max(1, holders));
      if (hasWord(names, word)) score += 3 * rarity;
      else if (hasWord(words, word)) score += rarity;
    }
    return { tool, score };
  });
  const found = wanted.length === 0 ? scored : scored.filter(({ score }) => score > 0);
  found.sort((left, right) => right.score - left.score || (left.tool.name < right.tool.name ? -1 : 1));
  return found.slice(0, limit).map(({ tool }) => tool);
}

/** Beginnings count from four letters on, so that "files" finds "file". */
function hasWord(words: ReadonlySet<string>, word: string): boolean {
  if (words.has(word)) return true;
  const stem = word.length > 4 ? word.replace(/(?:ing|es|s|ed)$/, "") : word;
  if (stem.length < 4) return false;
  for (const one of words) if (one.startsWith(stem)) return true;
  return false;
}

const wordsOf = (text: string): string[] =>
  text
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word.length > 1);
