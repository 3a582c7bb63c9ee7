/** Nika's own tools, resources and prompts, served beside those of the owner's servers. */
import { fromJsonSchema, type Result } from "@modelcontextprotocol/server";
import { refused } from "./answer.ts";
import type { Tool } from "./server.ts";

export type OwnResource = {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
  readonly read: (signal: AbortSignal) => Promise<string>;
};
export type OwnPrompt = {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly { readonly name: string; readonly description: string; readonly required: boolean }[];
  readonly say: (args: Readonly<Record<string, string>>) => string;
};

export type OwnOptions = {
  readonly tools: readonly Tool[];
  readonly resources?: readonly OwnResource[];
  readonly prompts?: readonly OwnPrompt[];
};
type Called = { readonly args: Readonly<Record<string, unknown>>; readonly signal: AbortSignal };
export type Own = {
  readonly tools: readonly Tool[];
  readonly resources: ReadonlyMap<string, OwnResource>;
  readonly prompts: ReadonlyMap<string, OwnPrompt>;
  /** How a tool of ours is called, or undefined when none has that name. Arguments are checked against its schema first. */
  find(name: string): { readonly tool: Tool; readonly call: (called: Called) => Promise<Result> } | undefined;
};

/** Later ones of the same name win. */
export function openOwn({ tools, resources = [], prompts = [] }: OwnOptions): Own {
  const own = new Map(tools.map((tool) => [tool.name, { tool, schema: once(() => toSchema(tool)) }]));
  return {
    tools,
    resources: new Map(resources.map((resource) => [resource.uri, resource])),
    prompts: new Map(prompts.map((prompt) => [prompt.name, prompt])),
    find(name) {
      const mine = own.get(name);
      return mine && { tool: mine.tool, call: (called) => callOwn(mine.tool, mine.schema(), called) };
    },
  };
}

async function callOwn(tool: Tool, schema: ReturnType<typeof toSchema>, { args, signal }: Called): Promise<Result> {
  const checked = await schema["~standard"].validate(args);
  if (checked.issues) return refused(`invalid: ${checked.issues.map(({ message }) => message).join("; ")}`);
  const result = await tool.call(checked.value, signal);
  return { content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: { ...result } };
}

/** Compiling one takes milliseconds, of which every start would have some thirty times. */
const toSchema = (tool: Tool) => fromJsonSchema<Record<string, unknown>>({ ...tool.input });

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
