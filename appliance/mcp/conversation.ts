/** One conversation with a client: the requests of the protocol, each answered from the lists, by the gateway, or by whichever server it belongs to. */
import { randomUUID } from "node:crypto";
import { ProtocolError, Server, type Result, type ServerContext } from "@modelcontextprotocol/server";
import { invalidParams, relayed } from "./answer.ts";
import { openAsker } from "./asker.ts";
import type { Call } from "./call.ts";
import { cursorOf, pageOf } from "./cursor.ts";
import type { Era } from "./pool/kept.ts";
import type { Lists, ToolMode } from "./lists.ts";
import type { Own } from "./own.ts";
import type { Pool } from "./pool/pool.ts";
import type { Taints } from "./guard/taints.ts";
import type { Relay } from "./relay.ts";
import { resourceOf } from "./routes.ts";
import { openViews } from "./views.ts";

export type Visitor = {
  readonly principal: string;
  readonly mode: ToolMode;
  /** Of a connection, whose requests belong together whatever their era. */
  readonly thread?: string;
};
export type Session = {
  readonly id: string;
  readonly server: Server;
  /** Ends the servers that are its own. */
  end(): Promise<void>;
};
export type ConversationOptions = {
  readonly pool: Pool;
  readonly own: Own;
  readonly lists: Lists;
  readonly relay: Relay;
  readonly callTool: (call: Call) => Promise<Result>;
  readonly taints: Taints;
  readonly version: string;
};

/** A server that does not say what it lists to this conversation lists what it lists to all. */
const lookMs = 10_000;
const soon = (): Promise<void> =>
  new Promise((done) => {
    setTimeout(done, lookMs).unref();
  });

/** A server for one conversation, or for one request of the stateless era. */
export function openConversation(
  { pool, own, lists, relay, callTool, taints, version }: ConversationOptions,
  { principal, mode, thread: connection }: Visitor,
  era: Era,
): Session {
  const id = randomUUID();
  // Stateless requests say nothing of what came before, so all of one holder's count as one conversation.
  const thread = connection ?? (era === "legacy" ? id : principal);
  const server = new Server(
    { name: "nika", version, title: "Nika" },
    {
      instructions: lists.instructions(mode),
      capabilities: {
        tools: { listChanged: true },
        resources: { listChanged: true, subscribe: era === "legacy" },
        prompts: { listChanged: true },
        completions: {},
        logging: {},
      },
    },
  );
  const announce = (): void => {
    for (const send of [
      () => server.sendToolListChanged(),
      () => server.sendPromptListChanged(),
      () => server.sendResourceListChanged(),
    ])
      send().catch(() => undefined);
  };
  const views = openViews({ pool, changed: announce });
  const asker = openAsker({
    id,
    era,
    server,
    eraOf: (name) => pool.eraOf(name),
    isOwn: (name) => pool.configOf(name).hasOwnSessions,
    listed: views.look,
  });
  /** Of servers that are known to list other things to each, this conversation's own are asked before it is told; the others need not run. */
  const lookFirst = async (context: ServerContext): Promise<void> => {
    if (era === "modern") return;
    const { scopeFor, prepare } = asker.partOf(context);
    const waiting = pool.varying().filter((name) => !views.has(name));
    const looks = waiting.map(async (name) => {
      const scope = scopeFor(name);
      if (!scope) return;
      await pool.use(name, scope, context.mcpReq.signal, async (peer) => {
        await prepare(peer, name);
        await views.first(name);
      });
    });
    if (looks.length > 0) await Promise.race([Promise.allSettled(looks), soon()]);
  };
  const callOf = (
    context: ServerContext,
    name: string,
    args: Readonly<Record<string, unknown>>,
    meta?: Record<string, unknown>,
  ): Call => ({
    name,
    args,
    meta,
    principal,
    session: id,
    thread,
    isApproved: false,
    routes: views.routes,
    signal: context.mcpReq.signal,
    context,
    ...asker.partOf(context),
  });
  const paged = (key: string, items: readonly object[], idOf: (item: never) => string, params: unknown): Result => {
    const { cursor } = (params ?? {}) as { cursor?: string };
    const { page, next } = pageOf(items, { kind: key, idOf, cursor: cursorOf(cursor, key) });
    return { [key]: page, ...(next !== undefined && { nextCursor: next }) };
  };
  const byName = ({ name }: { readonly name: string }): string => name;

  server.setRequestHandler("tools/list", async ({ params }, context) => {
    await lookFirst(context);
    return paged("tools", lists.tools(views.routes(), mode), byName, params) as never;
  });
  server.setRequestHandler(
    "tools/call",
    async ({ params }, context) => (await callTool(callOf(context, params.name, params.arguments ?? {}, params._meta))) as never,
  );
  server.setRequestHandler("prompts/list", async ({ params }, context) => {
    await lookFirst(context);
    return paged("prompts", lists.prompts(views.routes()), byName, params) as never;
  });
  server.setRequestHandler("prompts/get", async ({ params: { name, arguments: args = {}, _meta } }, context) => {
    const mine = own.prompts.get(name);
    if (mine)
      return { description: mine.description, messages: [{ role: "user", content: { type: "text", text: mine.say(args) } }] };
    const route = views.routes().prompts.get(name);
    if (!route) throw new ProtocolError(invalidParams, `There is no prompt named ${name}.`);
    const call = callOf(context, name, args, _meta);
    const params = { ...relay.beside(call, "prompts/get"), name: route.prompt.name, arguments: args };
    return (await relayed(route.server, () => relay.send(call, route.server, "prompts/get", params))) as never;
  });
  server.setRequestHandler("resources/list", async ({ params }, context) => {
    await lookFirst(context);
    return paged("resources", lists.resources(views.routes()), ({ uri }: { uri: string }) => uri, params) as never;
  });
  server.setRequestHandler("resources/templates/list", async ({ params }, context) => {
    await lookFirst(context);
    const templates = lists.templates(views.routes());
    return paged("resourceTemplates", templates, ({ uriTemplate }: { uriTemplate: string }) => uriTemplate, params) as never;
  });
  server.setRequestHandler("resources/read", async ({ params: { uri, _meta } }, context) => {
    const mine = own.resources.get(uri);
    if (mine) return { contents: [{ uri, mimeType: mine.mimeType, text: await mine.read(context.mcpReq.signal) }] };
    const found = resourceOf(views.routes(), uri);
    const call = callOf(context, uri, {}, _meta);
    const params = { ...relay.beside(call, "resources/read"), uri: found.uri };
    return (await relayed(found.server, () => relay.send(call, found.server, "resources/read", params))) as never;
  });
  if (era === "legacy") {
    for (const verb of ["subscribe", "unsubscribe"] as const)
      server.setRequestHandler(`resources/${verb}`, async ({ params: { uri } }, context) => {
        const found = resourceOf(views.routes(), uri);
        asker[verb](found.server, found.uri);
        const call = callOf(context, uri, {});
        await relayed(found.server, () => relay.send(call, found.server, `resources/${verb}`, { uri: found.uri }));
        return {};
      });
    server.setRequestHandler("logging/setLevel", async ({ params }) => {
      await asker.setLevel(params.level);
      return {};
    });
    server.setNotificationHandler("notifications/roots/list_changed", () => asker.tellRootsChanged());
  }
  server.setRequestHandler("completion/complete", async ({ params }, context) => {
    const { ref } = params;
    const nothing = { completion: { values: [] } };
    const route = ref.type === "ref/prompt" ? views.routes().prompts.get(ref.name) : undefined;
    const template =
      ref.type === "ref/resource" ? views.routes().templates.find((one) => one.template.uriTemplate === ref.uri) : undefined;
    const name = route?.server ?? template?.server;
    if (name === undefined) return nothing;
    const inner = route ? { ...ref, name: route.prompt.name } : ref;
    const { _meta, ...rest } = params as typeof params & { _meta?: Record<string, unknown> };
    const call = callOf(context, JSON.stringify(ref), {}, _meta);
    return (await relayed(name, () => relay.send(call, name, "completion/complete", { ...rest, ref: inner }))) as never;
  });
  const unlisten = pool.onRoutes(announce);
  return {
    id,
    server,
    async end() {
      unlisten();
      views.close();
      await server.close().catch(() => undefined);
      if (era === "legacy") taints.forget(id);
      if (era === "legacy") await pool.leave(id);
    },
  };
}
