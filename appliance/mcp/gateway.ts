/**
 * One MCP server in front of all: Nika's own tools and those of the owner's servers. A call is resolved, judged (policy), carried to where it
 * belongs (relay, pool, peer) and written down (audit, ledger), whichever door it came through. A session of the era with handshakes that can answer
 * questions gets servers of its own; everybody else shares.
 */
import { ProtocolError, type Result } from "@modelcontextprotocol/server";
import { NikaError } from "../../convex/model/error.ts";
import { ownServer } from "../../convex/model/taint.ts";
import type { Tools } from "../../functions/ports/tools.ts";
import { invalidParams, refused } from "./answer.ts";
import { openAudit, type Target } from "./log/audit.ts";
import type { Call } from "./call.ts";
import { openConversation, type Session, type Visitor } from "./conversation.ts";
import type { Era } from "./pool/kept.ts";
import type { Ledger } from "./log/ledger.ts";
import { openLists } from "./lists.ts";
import { withTexts } from "../../convex/model/scan.ts";
import { pinnedPart } from "../../convex/model/tool.ts";
import { isRecord } from "./meta.ts";
import { openGuard } from "./guard/guard.ts";
import { openKnown, type Known } from "./guard/known.ts";
import { openTaints, type Taints } from "./guard/taints.ts";
import { disagreement } from "./paramHeaders.ts";
import { openOwn, type OwnOptions } from "./own.ts";
import { openParking } from "./parked.ts";
import { openPolicy } from "./policy.ts";
import type { Pool } from "./pool/pool.ts";
import { openRelay } from "./relay.ts";
import type { Recordings } from "./log/recordings.ts";
import type { Routes, ToolRoute } from "./routes.ts";
import { openSealer } from "./seal.ts";
import { searchRoutes } from "./search.ts";

export type GatewayOptions = OwnOptions & {
  readonly pool: Pool;
  readonly ledger: Ledger;
  readonly version: string;
  readonly log: (line: string) => void;
  readonly now: () => number;
  /** What servers were started with; nothing when absent. */
  readonly known?: Known;
  /** Where answers are kept; nowhere when absent. */
  readonly recordings?: Recordings;
};
export type Gateway = {
  /** A server for one conversation, or for one request of the stateless era. */
  open(visitor: Visitor, era: Era): Session;
  /** Calls a tool for somebody who has no conversation. The owner's own calls need no approval. */
  call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    by: { readonly principal: string; readonly isApproved: boolean; readonly signal: AbortSignal },
  ): Promise<Result>;
  /** What conversations have seen. */
  readonly taints: Taints;
  /** How the headers of a stateless call differ from its arguments; undefined when they do not. */
  disagreement(headers: { get(name: string): string | null }, message: unknown): string | undefined;
  /** The same for functions. */
  readonly port: Tools;
};

/** Begins nothing: servers run when the pool is asked for them. */
export function openGateway(options: GatewayOptions): Gateway {
  const { pool, ledger, version, log, now, known = openKnown() } = options;
  const taints = openTaints(now);
  const guard = openGuard({
    configOf: (server) => pool.configOf(server),
    isBare: (server) => pool.isBare(server),
    known,
    taints,
  });
  const own = openOwn(options);
  const sealer = openSealer(now);
  const policy = openPolicy({ configOf: (server) => pool.configOf(server), sealer, now });
  const relay = openRelay({ pool, sealer, parking: openParking(), guard, recent: pool.recent });
  const recorded = openAudit({ ledger, log, redact: (server, text) => known.redact(server, text), priceOf, keep });
  function keep({ name, args }: Call, { server, definition }: Target, result: Result): string | undefined {
    if (!definition || !options.recordings || !pool.configOf(server).isRecorded) return undefined;
    const shown = withTexts(args, (text) => known.redact(server, text));
    return options.recordings.keep({ as: name, server, tool: pinnedPart(definition), args: shown, result });
  }
  function priceOf(server: string, tool: string): number | undefined {
    const price = server === ownServer ? {} : pool.configOf(server).price;
    return Object.hasOwn(price, tool) ? price[tool] : price["*"];
  }
  const lists = openLists({ pool, own });

  async function callTool(call: Call): Promise<Result> {
    const { name, args } = call;
    const mine = own.find(name);
    if (mine)
      return recorded(call, { server: ownServer, tool: name }, async () => {
        const why = guard.objectToOwn(call, mine.tool);
        const question = why === undefined ? undefined : policy.ask(call, { server: "Nika", publicName: name, about: name }, why);
        return question ?? guard.takeOwn(call, mine.tool, await mine.call(call));
      });
    if (name === "search_tools" || name === "describe_tool") return searchRoutes(call.routes(), name, args);
    if (name === "call_tool") {
      const { name: inner, arguments: given = {} } = args;
      if (typeof inner !== "string" || inner === "call_tool" || !isRecord(given))
        return refused("invalid: Give the name of a tool and its arguments.");
      return callTool({ ...call, name: inner, args: given });
    }
    const route = call.routes().tools.get(name);
    if (!route) throw new ProtocolError(invalidParams, whyNot(pool.routes(), name));
    return recorded(call, { server: route.server, tool: route.tool.name, definition: route.tool }, () => callServer(route, call));
  }

  async function callServer(route: ToolRoute, call: Call): Promise<Result> {
    guard.checkArgs(route.tool, call.args);
    const question = policy.permit(route, call, guard.objectTo(call, route));
    if (question) return question;
    return relay.sendTo(call, route);
  }

  const call: Gateway["call"] = (name, args, { principal, isApproved, signal }) =>
    callTool({
      name,
      args,
      meta: undefined,
      principal,
      session: "",
      thread: "",
      isApproved,
      signal,
      routes: () => pool.routes(),
      scopeFor: () => undefined,
      asks: () => undefined,
      prepare: () => Promise.resolve(),
      during: (_server, work) => work(),
    });
  return {
    open: (visitor, era) => openConversation({ pool, own, lists, relay, callTool, taints, version }, visitor, era),
    call,
    disagreement(headers, message) {
      if (!isRecord(message) || message["method"] !== "tools/call" || headers.get("mcp-method") === null) return undefined;
      const { name, arguments: args } = isRecord(message["params"]) ? message["params"] : {};
      const route = typeof name === "string" ? pool.routes().tools.get(name) : undefined;
      return route && disagreement(route.tool, args, headers);
    },
    taints,
    port: {
      list: () =>
        [...pool.routes().tools.values()].map(({ publicName, tool: { title, description, inputSchema } }) => ({
          name: publicName,
          inputSchema,
          ...(title !== undefined && { title }),
          ...(description !== undefined && { description }),
        })),
      async call(name, args, signal) {
        if (!pool.routes().tools.has(name)) throw new NikaError("missing", whyNot(pool.routes(), name));
        return (await call(name, args, { principal: "functions", isApproved: false, signal })) as never;
      },
    },
  };
}

/** To whoever calls what is not listed. */
function whyNot(routes: Routes, name: string): string {
  if (routes.tools.has(name) || routes.sometimes.tools.has(name)) return `${name} is not offered to this conversation now.`;
  for (const [server, offers] of routes.offers)
    for (const offer of offers)
      if (offer.publicName === name && offer.kind === "tool")
        return (
          offer.hidden ?? `The owner has not approved ${name} as it is now; \`nika mcp approve ${server}\` shows and approves it.`
        );
  return `There is no tool named ${name}.`;
}
