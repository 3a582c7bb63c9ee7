/** From public names to servers: a table made anew whenever something changes, and then only read. */
import { ProtocolError } from "@modelcontextprotocol/server";
import {
  rule,
  canonicalJson,
  judge,
  lint,
  pinnedPart,
  publicNames,
  type Finding,
  type Judged,
  type Ruling,
  type ToolDefinition,
} from "../../convex/model/tool.ts";
import type { ServerConfig } from "../../convex/model/server.ts";
import { sha256, type Catalog, type Lock, type Pin, type Prompt, type Resource, type Template } from "./pool/kept.ts";

/** One tool or prompt of a server, seen from outside. */
export type Offer = Judged & {
  readonly kind: "tool" | "prompt";
  readonly publicName: string;
  readonly definition: ToolDefinition;
  readonly ruling: Ruling;
  readonly findings: readonly Finding[];
  /** Why it cannot be seen although it was approved. */
  readonly hidden?: string;
};
export type ToolRoute = {
  readonly server: string;
  readonly publicName: string;
  readonly tool: ToolDefinition;
  readonly ruling: Ruling;
};
export type PromptRoute = { readonly server: string; readonly publicName: string; readonly prompt: Prompt };
export type ResourceRoute = { readonly server: string; readonly uri: string; readonly resource: Resource };
export type TemplateRoute = { readonly server: string; readonly template: Template };

export type Routes = {
  /** Equal for equal lists. */
  readonly hash: string;
  /** By public name, in their order. */
  readonly tools: ReadonlyMap<string, ToolRoute>;
  readonly prompts: ReadonlyMap<string, PromptRoute>;
  /** Approved, and offered to some conversations alone. */
  readonly sometimes: { readonly tools: ReadonlyMap<string, ToolRoute>; readonly prompts: ReadonlyMap<string, PromptRoute> };
  /** Servers that the owner looked at as a whole: their resources may be seen. */
  readonly open: ReadonlySet<string>;
  /** By public address: the server's own, unless another server had it first. */
  readonly resources: ReadonlyMap<string, ResourceRoute>;
  readonly templates: readonly TemplateRoute[];
  readonly instructions: readonly { readonly server: string; readonly text: string }[];
  /** All, also what cannot be seen. */
  readonly offers: ReadonlyMap<string, readonly Offer[]>;
  /** Of all visible tools' definitions, as JSON. */
  readonly toolsChars: number;
};

type Digest = { readonly sha256: string; readonly chars: number };
const digests = new WeakMap<object, Digest>();

/** Of all that a model sees of it; worked out once for each listing. */
export function digestOf(tool: ToolDefinition): Digest {
  const known = digests.get(tool);
  if (known) return known;
  const text = canonicalJson(pinnedPart(tool));
  const digest = { sha256: sha256(text), chars: text.length };
  digests.set(tool, digest);
  return digest;
}

/** What was listed is nearly always what was approved, and then nothing needs to be compared in depth. */
function judged(pins: Readonly<Record<string, Pin>>, listed: readonly ToolDefinition[]): Judged[] {
  const isSame = listed.every((tool) => Object.hasOwn(pins, tool.name) && pins[tool.name]?.sha256 === digestOf(tool).sha256);
  if (isSame) return listed.map(({ name }) => ({ name, standing: "approved", diff: [] }));
  return judge(definitionsOf(pins), listed);
}

type Known = { readonly catalog: Catalog; readonly lock: Lock; readonly reserved: ReadonlySet<string> };

export function toRoutes(configs: readonly ServerConfig[], { catalog, lock, reserved }: Known): Routes {
  const tools = new Map<string, ToolRoute>();
  const prompts = new Map<string, PromptRoute>();
  const resources = new Map<string, ResourceRoute>();
  const templates: TemplateRoute[] = [];
  const instructions: { server: string; text: string }[] = [];
  const sometimes = { tools: new Map<string, ToolRoute>(), prompts: new Map<string, PromptRoute>() };
  const open = new Set<string>();
  const offers = new Map<string, Offer[]>();
  for (const config of configs.toSorted(({ name: left }, { name: right }) => (left < right ? -1 : 1))) {
    const { name: server, isPrefixed, policy } = config;
    const listing = catalog[server];
    if (!listing) continue;
    const pins = lock[server] ?? { tools: {}, prompts: {} };
    const found: Offer[] = [];
    const listedTools = [...listing.tools, ...(listing.sometimes?.tools ?? [])];
    const toolNames = publicNames(
      server,
      listedTools.map(({ name }) => name),
      { isPrefixed, digest: sha256 },
    );
    const judgedTools = judged(pins.tools, listedTools);
    listedTools.forEach((tool, index) => {
      const publicName = toolNames.get(tool.name) ?? tool.name;
      const verdict = judgedTools[index];
      if (!verdict) return;
      const ruling = rule(tool, policy);
      const isTaken = tools.has(publicName) || sometimes.tools.has(publicName) || reserved.has(publicName);
      const isVisible = verdict.standing === "approved" && ruling.approval !== "refuse" && !isTaken;
      const shown = index < listing.tools.length ? tools : sometimes.tools;
      if (isVisible) shown.set(publicName, { server, publicName, tool, ruling });
      const hidden = isTaken
        ? `Another tool is named ${publicName}.`
        : ruling.approval === "refuse"
          ? "Your policy refuses it."
          : undefined;
      // Looking at texts takes time, and what was approved was looked at.
      const findings = verdict.standing === "approved" ? [] : lint(tool);
      found.push({
        ...verdict,
        kind: "tool",
        publicName,
        definition: tool,
        ruling,
        findings,
        ...(hidden !== undefined && { hidden }),
      });
    });
    const listedPrompts = [...listing.prompts, ...(listing.sometimes?.prompts ?? [])];
    const promptNames = publicNames(
      server,
      listedPrompts.map(({ name }) => name),
      { isPrefixed, digest: sha256 },
    );
    const definitions = listedPrompts.map(toDefinition);
    const judgedPrompts = judged(pins.prompts, definitions);
    listedPrompts.forEach((prompt, index) => {
      const publicName = promptNames.get(prompt.name) ?? prompt.name;
      const [verdict, definition] = [judgedPrompts[index], definitions[index]];
      if (!verdict || !definition) return;
      const isTaken = prompts.has(publicName) || sometimes.prompts.has(publicName);
      const shown = index < listing.prompts.length ? prompts : sometimes.prompts;
      if (verdict.standing === "approved" && !isTaken) shown.set(publicName, { server, publicName, prompt });
      const findings = verdict.standing === "approved" ? [] : lint(prompt);
      found.push({
        ...verdict,
        kind: "prompt",
        publicName,
        definition,
        ruling: { class: "read", approval: "never" },
        findings,
        ...(isTaken && { hidden: `Another prompt is named ${publicName}.` }),
      });
    });
    offers.set(server, found);
    // A server none of whose tools were looked at shows nothing else either.
    if (lock[server] === undefined || lock[server].instructions === undefined) continue;
    open.add(server);
    for (const resource of listing.resources) {
      const uri = resources.has(resource.uri) ? wrapped(server, resource.uri) : resource.uri;
      resources.set(uri, { server, uri: resource.uri, resource });
    }
    for (const template of listing.templates) templates.push({ server, template });
    const text = listing.instructions ?? "";
    if (text !== "" && lock[server].instructions.sha256 === sha256(text)) instructions.push({ server, text });
  }
  const visible = [...tools.values()].map(({ publicName, tool }) => ({ publicName, ...digestOf(tool) }));
  const names = visible.map(({ publicName, sha256: digest }) => `${publicName} ${digest}`).toSorted();
  const others = canonicalJson([
    [...prompts].map(([name, { prompt }]) => [name, prompt]),
    [...resources.keys()],
    templates,
    instructions,
    [...sometimes.tools].map(([name, { tool }]) => [name, digestOf(tool).sha256]),
    [...sometimes.prompts].map(([name, { prompt }]) => [name, prompt]),
  ]);
  return {
    hash: sha256(names.join("\n") + others),
    tools: sorted(tools),
    prompts: sorted(prompts),
    sometimes,
    open,
    resources: sorted(resources),
    templates,
    instructions,
    offers,
    toolsChars: visible.reduce((sum, { chars, publicName }) => sum + chars + publicName.length, 0),
  };
}

/** An address that two servers have is the first one's; the other's is kept inside one of ours. */
export const wrapped = (server: string, uri: string): string => `nika-mcp://${server}/${encodeURIComponent(uri)}`;

export function unwrap(uri: string): { readonly server: string; readonly uri: string } | undefined {
  const [, server, inner] = /^nika-mcp:\/\/([a-z0-9-]+)\/(.+)$/.exec(uri) ?? [];
  if (server === undefined || inner === undefined) return undefined;
  try {
    return { server, uri: decodeURIComponent(inner) };
  } catch {
    return undefined;
  }
}

const definitionsOf = (pins: Readonly<Record<string, { readonly definition: ToolDefinition }>>): Record<string, ToolDefinition> =>
  Object.fromEntries(Object.entries(pins).map(([name, { definition }]) => [name, definition]));

/** A prompt in the shape of a tool, for pins: its arguments are what a model or a person fills in. */
export function toDefinition({ name, description, ...rest }: Prompt): ToolDefinition {
  return {
    name,
    ...(typeof rest["title"] === "string" && { title: rest["title"] }),
    ...(description !== undefined && { description }),
    inputSchema: { arguments: rest["arguments"] ?? [] },
  };
}

const sorted = <T>(map: ReadonlyMap<string, T>): Map<string, T> =>
  new Map([...map].toSorted(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)));

/** Whose resource an address is: listed, wrapped by us, or fitting a template. Fails as the protocol has it when it is nobody's. */
export function resourceOf(routes: Routes, uri: string): { readonly server: string; readonly uri: string } {
  const listed = routes.resources.get(uri);
  if (listed) return { server: listed.server, uri: listed.uri };
  const inner = unwrap(uri);
  if (inner && routes.offers.has(inner.server)) return inner;
  const fitting = routes.templates.find(({ template }) => fits(template.uriTemplate, uri));
  if (fitting) return { server: fitting.server, uri };
  throw new ProtocolError(-32002, "There is no such resource.", { uri });
}

/** Whether an address can have come from a template: its fixed parts, in order, with something between them. */
function fits(template: string, uri: string): boolean {
  const pattern = template
    .split(/\{[^}]*\}/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("(.+?)");
  return new RegExp(`^${pattern}$`).test(uri);
}
