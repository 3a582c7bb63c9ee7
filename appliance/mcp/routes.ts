/** From public names to servers: a table made anew whenever something changes, and then only read. */
import {
  rule,
  canonicalJson,
  judge,
  lint,
  publicNames,
  type Finding,
  type Judged,
  type Ruling,
  type ToolDefinition,
} from "../../convex/model/tool.ts";
import type { ServerConfig } from "../../convex/model/server.ts";
import { sha256, type Catalog, type Lock, type Prompt, type Resource, type Template } from "./kept.ts";

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
  /** By public address: the server's own, unless another server had it first. */
  readonly resources: ReadonlyMap<string, ResourceRoute>;
  readonly templates: readonly TemplateRoute[];
  readonly instructions: readonly { readonly server: string; readonly text: string }[];
  /** All, also what cannot be seen. */
  readonly offers: ReadonlyMap<string, readonly Offer[]>;
  /** Of all visible tools' definitions, as JSON. */
  readonly toolsChars: number;
};

type Known = { readonly catalog: Catalog; readonly lock: Lock; readonly reserved: ReadonlySet<string> };

export function toRoutes(configs: readonly ServerConfig[], { catalog, lock, reserved }: Known): Routes {
  const tools = new Map<string, ToolRoute>();
  const prompts = new Map<string, PromptRoute>();
  const resources = new Map<string, ResourceRoute>();
  const templates: TemplateRoute[] = [];
  const instructions: { server: string; text: string }[] = [];
  const offers = new Map<string, Offer[]>();
  for (const config of configs.toSorted(({ name: left }, { name: right }) => (left < right ? -1 : 1))) {
    const { name: server, isPrefixed, policy } = config;
    const listing = catalog[server];
    if (!listing) continue;
    const pins = lock[server] ?? { tools: {}, prompts: {} };
    const found: Offer[] = [];
    const toolNames = publicNames(
      server,
      listing.tools.map(({ name }) => name),
      { isPrefixed, digest: sha256 },
    );
    const judgedTools = judge(definitionsOf(pins.tools), listing.tools);
    listing.tools.forEach((tool, index) => {
      const publicName = toolNames.get(tool.name) ?? tool.name;
      const judged = judgedTools[index];
      if (!judged) return;
      const ruling = rule(tool, policy);
      const isTaken = tools.has(publicName) || reserved.has(publicName);
      const isVisible = judged.standing === "approved" && ruling.approval !== "refuse" && !isTaken;
      if (isVisible) tools.set(publicName, { server, publicName, tool, ruling });
      const hidden = isTaken
        ? `Another tool is named ${publicName}.`
        : ruling.approval === "refuse"
          ? "Your policy refuses it."
          : undefined;
      // Looking at texts takes time, and what was approved was looked at.
      const findings = judged.standing === "approved" ? [] : lint(tool);
      found.push({
        ...judged,
        kind: "tool",
        publicName,
        definition: tool,
        ruling,
        findings,
        ...(hidden !== undefined && { hidden }),
      });
    });
    const promptNames = publicNames(
      server,
      listing.prompts.map(({ name }) => name),
      { isPrefixed, digest: sha256 },
    );
    const definitions = listing.prompts.map(toDefinition);
    const judgedPrompts = judge(definitionsOf(pins.prompts), definitions);
    listing.prompts.forEach((prompt, index) => {
      const publicName = promptNames.get(prompt.name) ?? prompt.name;
      const [judged, definition] = [judgedPrompts[index], definitions[index]];
      if (!judged || !definition) return;
      const isTaken = prompts.has(publicName);
      if (judged.standing === "approved" && !isTaken) prompts.set(publicName, { server, publicName, prompt });
      const findings = judged.standing === "approved" ? [] : lint(prompt);
      found.push({
        ...judged,
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
    for (const resource of listing.resources) {
      const uri = resources.has(resource.uri) ? wrapped(server, resource.uri) : resource.uri;
      resources.set(uri, { server, uri: resource.uri, resource });
    }
    for (const template of listing.templates) templates.push({ server, template });
    const text = listing.instructions ?? "";
    if (text !== "" && lock[server].instructions.sha256 === sha256(text)) instructions.push({ server, text });
  }
  const visible = [...tools.values()].map(({ publicName, tool }) => [publicName, tool]);
  const toolsJson = canonicalJson(visible);
  const others = canonicalJson([
    [...prompts].map(([name, { prompt }]) => [name, prompt]),
    [...resources.keys()],
    templates,
    instructions,
  ]);
  return {
    hash: sha256(toolsJson + others),
    tools: sorted(tools),
    prompts: sorted(prompts),
    resources: sorted(resources),
    templates,
    instructions,
    offers,
    toolsChars: toolsJson.length,
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
