/** Hostile servers behind a gateway, and clients of it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";
import { fakeSandboxes } from "../../fakes/sandboxes.ts";
import { openMcpPlace, type McpPlace } from "./place.ts";

const program = join(import.meta.dirname, "../../fixtures/evilServer.ts");
export type Said = {
  readonly content: { type: string; text?: string }[];
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
  readonly _meta?: Readonly<Record<string, unknown>>;
};
export type Evil = {
  /** A server of that name; what it offers and answers can be changed while it runs. */
  offer(
    name: string,
    script: { tools: object[]; answers?: object; instructions?: string; resources?: string[] },
  ): { command: string; args: string[] };
};

export async function withEvil(
  work: (place: McpPlace, evil: Evil) => Promise<void>,
  wish: Parameters<typeof openMcpPlace>[0] = {},
): Promise<void> {
  const place = await openMcpPlace(wish);
  const offer: Evil["offer"] = (name, script) => {
    const file = join(place.dir, `${name}.json`);
    writeFileSync(file, JSON.stringify(script));
    // Not as a whole path: that would be a file of the owner's, and make its answers private.
    return { command: process.execPath, args: [program, `--script=${file}`] };
  };
  try {
    await work(place, { offer });
  } finally {
    await place.close();
  }
}

/** Sandboxes that hold nothing and hide no path, for what depends on a server being in one. */
export function pretended(): Sandboxes {
  const fake = fakeSandboxes();
  return {
    ...fake,
    open: (spec, signal) =>
      fake.open({ ...spec, mounts: [], egress: [], command: [process.execPath, program, ...spec.command.slice(2)] }, signal),
  };
}

export const textOf = ({ content }: Said): string => content.map(({ text = "" }) => text).join("");

/** By nobody in particular, outside any conversation. */
export const call = async (place: McpPlace, name: string, args = {}, signal = new AbortController().signal): Promise<Said> =>
  (await place.gateway.call(name, args, { principal: "owner", isApproved: false, signal })) as Said;

export type Talker = { readonly client: Client; readonly asked: string[]; call(name: string, args?: object): Promise<Said> };

/** A conversation; whoever is asked in it says `action`, and without one there is nobody to ask. */
export async function talk(place: McpPlace, action?: "accept" | "decline", mode: "auto" | "legacy" = "legacy"): Promise<Talker> {
  const asked: string[] = [];
  const client = new Client(
    { name: "t", version: "1" },
    { capabilities: action ? { elicitation: { form: {} } } : {}, versionNegotiation: { mode } },
  );
  if (action)
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params.message);
      return action === "accept" ? { action, content: {} } : { action };
    });
  await client.connect(new StreamableHTTPClientTransport(new URL(place.url)));
  const say = async (name: string, args: object = {}): Promise<Said> =>
    (await client.callTool({ name, arguments: args as Record<string, unknown> })) as Said;
  return { client, asked, call: say };
}

export const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((done) => setTimeout(done, 20));
};
