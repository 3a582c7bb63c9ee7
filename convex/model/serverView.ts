/** What the owner sees of MCP servers: a picture that the appliance draws, bounded. */
import { v, type Infer } from "convex/values";

export const vToolView = v.object({
  kind: v.union(v.literal("tool"), v.literal("prompt")),
  name: v.string(),
  /** The name clients see. */
  publicName: v.string(),
  description: v.string(),
  class: v.union(v.literal("read"), v.literal("write"), v.literal("destructive")),
  approval: v.union(v.literal("never"), v.literal("ask"), v.literal("refuse")),
  standing: v.union(v.literal("approved"), v.literal("new"), v.literal("changed"), v.literal("renamed")),
  /** How it differs from what was approved. */
  diff: v.array(v.string()),
  /** What looks like poison in its texts. */
  warnings: v.array(v.string()),
  hidden: v.optional(v.string()),
  /** Of all a model sees of it; what is approved is what has this. */
  sha256: v.optional(v.string()),
});
export type ToolView = Infer<typeof vToolView>;

export const vServerState = v.union(
  v.literal("cold"),
  v.literal("starting"),
  v.literal("running"),
  v.literal("paused"),
  v.literal("failed"),
  v.literal("off"),
);

/** One server as it stands. `target` is its command or address, without values of variables. */
export const vServerFacts = v.object({
  name: v.string(),
  origin: v.string(),
  transport: v.union(v.literal("stdio"), v.literal("http"), v.literal("sse"), v.literal("none")),
  target: v.string(),
  /** Of its whole command: consent to run it without a sandbox is for what has this. */
  targetSha256: v.optional(v.string()),
  state: vServerState,
  problem: v.optional(v.string()),
  /** The owner lets it run without a sandbox. */
  isBare: v.boolean(),
  era: v.optional(v.union(v.literal("legacy"), v.literal("modern"))),
  listedAt: v.optional(v.number()),
  /** Of a server elsewhere that asks who Nika is. */
  signIn: v.optional(v.union(v.literal("wanted"), v.literal("done"))),
  /** The registry's name of it, when it was installed from one. */
  installed: v.optional(v.object({ name: v.string(), version: v.string(), source: v.string() })),
  resources: v.number(),
  peers: v.number(),
  tools: v.array(vToolView),
  /** What it says of itself to models, cut, and the digest of all of it. */
  instructions: v.optional(v.object({ text: v.string(), sha256: v.string(), warnings: v.array(v.string()) })),
  /** How a new form of it, which waits for the owner, answers otherwise than the one that goes on; or that it is being tried. */
  upgrade: v.optional(
    v.object({
      calls: v.number(),
      lines: v.array(v.string()),
      /** Being compared now, by itself; there is nothing to say yet. */
      isTrying: v.optional(v.boolean()),
      /** Of the form and its differences: what is accepted is what has this. */
      sha256: v.optional(v.string()),
    }),
  ),
});
export type ServerFacts = Infer<typeof vServerFacts>;

/**
 * Digests of what is shown of a server, by `tool NAME`, `prompt NAME` and `instructions`; an approval is for exactly these. With `only` those of that
 * name, and nothing of what the server says of itself.
 */
export function seenOf({ tools, instructions }: Pick<ServerFacts, "tools" | "instructions">, only?: readonly string[]): Seen {
  const shown = tools.filter(({ name }) => only === undefined || only.includes(name));
  return {
    ...Object.fromEntries(shown.map(({ kind, name, sha256 = "" }) => [`${kind} ${name}`, sha256])),
    ...(only === undefined && instructions && { instructions: instructions.sha256 }),
  };
}
/** SHA-256 of what somebody looked at, by what it is. */
export type Seen = Readonly<Record<string, string>>;

/** What one digest over all of it is made from: a line each, in the order of their names. */
export const seenText = (seen: Seen): string =>
  Object.entries(seen)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([what, digest]) => `${digest} ${what}\n`)
    .join("");

/** One call of a tool, as the log has it. */
export const vToolCall = v.object({
  seq: v.number(),
  at: v.number(),
  server: v.string(),
  tool: v.string(),
  by: v.string(),
  ms: v.number(),
  isError: v.boolean(),
  problem: v.optional(v.string()),
  /** What the answer was; see taint.ts. */
  labels: v.optional(v.array(v.string())),
  /** What was odd in it. */
  warnings: v.optional(v.array(v.string())),
  argsBytes: v.number(),
  resultBytes: v.number(),
});
export type ToolCallView = Infer<typeof vToolCall>;

/** How far the log of events reaches, remembered apart from it. */
export const vLedgerHead = v.object({ seq: v.number(), hash: v.string() });

/** Older ones stand in the log alone. */
export const callsKeptMax = 500;
export const serversMax = 500;
/** Of one server, in the picture; all of them count. */
export const toolsShownMax = 200;
export const textCharsMax = 300;
export const serverTokensMax = 100;
