/** One connection to one server, in whichever era of the protocol it speaks. Everything is handed on as it came; nothing is checked twice. */
import {
  Client,
  InsufficientScopeError,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  type ClientCapabilities,
  type Notification,
  type Progress,
  type Result,
  type StandardSchemaV1,
} from "@modelcontextprotocol/client";
import { NikaError, toNikaError } from "../../../convex/model/error.ts";
import type { Era, Listing, Prompt, Resource, Template } from "./kept.ts";
import type { Launched } from "./launch.ts";
import { faultIn } from "../paramHeaders.ts";
import type { ToolDefinition } from "../../../convex/model/tool.ts";

/** Answers what a server asks of whoever uses it. */
export type Asked = (method: AskedMethod, params: Record<string, unknown>, signal: AbortSignal) => Promise<Result>;
export const askedMethods = ["elicitation/create", "sampling/createMessage", "roots/list"] as const;
export type AskedMethod = (typeof askedMethods)[number];

export type PeerOptions = {
  readonly version: string;
  readonly launched: Launched;
  /** Undefined: find out. */
  readonly era: Era | undefined;
  readonly capabilities: ClientCapabilities;
  /** Of the scope that it is for. */
  readonly owner: string;
  readonly asked: Asked;
  readonly told: (notification: Notification) => void;
  readonly signal: AbortSignal;
};

export type RequestWish = {
  readonly timeoutMs: number;
  readonly timeoutMsMax: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** The asker speaks the stateless era and answers questions himself. */
  readonly isInputRelayed?: boolean;
  /** Of the message, where it travels by HTTP and the server is of the stateless era. */
  readonly headers?: Readonly<Record<string, string>>;
};

export type Peer = {
  readonly era: Era;
  /** The key of whoever has it. */
  readonly owner: string;
  readonly way: Launched["way"];
  readonly serverInfo: { readonly name: string; readonly version: string };
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly instructions: string | undefined;
  /** Settles with the reason when the other side went away, or was closed. */
  readonly ended: Promise<string>;
  readonly hasEnded: () => boolean;
  request(method: string, params: Record<string, unknown> | undefined, wish: RequestWish): Promise<Result>;
  notify(method: string, params?: Record<string, unknown>): Promise<void>;
  list(signal: AbortSignal): Promise<Omit<Listing, "hash" | "listedAt" | "eraAt">>;
  readonly pause: (() => Promise<void>) | undefined;
  readonly resume: (() => Promise<void>) | undefined;
  close(): Promise<void>;
};

/** In a sandbox a first start takes seconds, and under gVisor on a busy machine tens of them; asking twice would start it twice. */
const connectMs = { sandbox: 90_000, bare: 30_000, remote: 30_000 };
const probeMs = { sandbox: 15_000, bare: 3_000, remote: 3_000 };
const listMs = 10_000;
const pagesMax = 64;
const itemsMax = 5_000;

/** Takes whatever there is. */
export const untouched: StandardSchemaV1<unknown, Result> = {
  "~standard": { version: 1, vendor: "nika", validate: (value) => ({ value: value as Result }) },
};

/** Fails with `unavailable` or `timeout` and what the server last said; it is stopped then. */
export async function openPeer({ version, launched, era, capabilities, owner, asked, told, signal }: PeerOptions): Promise<Peer> {
  const client = new Client(
    { name: "nika", version },
    {
      capabilities,
      versionNegotiation: { mode: era === "legacy" ? "legacy" : "auto", probe: { timeoutMs: probeMs[launched.way] } },
      listMaxPages: pagesMax,
    },
  );
  for (const method of askedMethods)
    if (isDeclared(capabilities, method))
      client.setRequestHandler(
        method,
        async ({ params }: { params?: unknown }, { mcpReq }: { mcpReq: { signal: AbortSignal } }) =>
          (await asked(method, (params ?? {}) as Record<string, unknown>, mcpReq.signal)) as never,
      );
  client.fallbackNotificationHandler = (notification) => {
    told(notification);
    return Promise.resolve();
  };
  let hasEnded = false;
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const left = (why: string): void => {
    hasEnded = true;
    end(why);
  };
  let lastError = "";
  // The SDK has these two as fields.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  client.onerror = (error) => {
    lastError = error.message;
  };
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  client.onclose = () => {
    // The exit tells more than the closed pipe, and comes a moment later.
    if (launched.way === "remote") left("it closed the connection");
    else void Promise.race([launched.ended, soon()]).then((why) => left(why ?? "it closed the connection"));
    hasEnded = true;
  };
  void launched.ended.then((why) => {
    left(why);
    return client.close().catch(() => undefined);
  });
  try {
    const timeout = connectMs[launched.way];
    await client.connect(launched.transport, { timeout, maxTotalTimeout: timeout, signal });
  } catch (error) {
    const why = await Promise.race([launched.ended, soon()]);
    await launched.stop().catch(() => undefined);
    throw refusedRights(error, launched) ?? unreachable(error, [why, launched.errors() || lastError]);
  }
  const isModern = client.getProtocolEra() === "modern";
  const offers = client.getServerCapabilities() ?? {};
  // Not waited for: servers may leave it unanswered, and calls need none of it.
  if (isModern) void listen(client, offers);

  const request: Peer["request"] = async (method, params, wish) => {
    try {
      const { timeoutMs, timeoutMsMax, signal: gone, onProgress, isInputRelayed, headers } = wish;
      return await client.request({ method, ...(params && { params }) }, untouched, {
        timeout: timeoutMs,
        maxTotalTimeout: timeoutMsMax,
        resetTimeoutOnProgress: true,
        signal: gone,
        ...(onProgress && { onprogress: onProgress }),
        ...(isInputRelayed === true && isModern && { allowInputRequired: true }),
        ...(headers && isModern && { headers }),
      });
    } catch (error) {
      if (hasEnded) throw new NikaError("unavailable", `The server stopped: ${await ended}.`, { cause: error });
      throw refusedRights(error, launched) ?? unheard(error, launched) ?? error;
    }
  };
  const page = async <T>(method: string, key: string, gone: AbortSignal): Promise<T[]> => {
    const found: T[] = [];
    let cursor: unknown;
    for (let pages = 0; pages < pagesMax; pages++) {
      const params = cursor === undefined ? {} : { cursor };
      const result = await request(method, params, { timeoutMs: listMs, timeoutMsMax: 3 * listMs, signal: gone });
      const items = result[key];
      if (Array.isArray(items)) found.push(...(items as T[]));
      const next = result["nextCursor"];
      // An empty text is a cursor like any other; the same one again is a server going round in circles.
      if (typeof next !== "string" || next === cursor || found.length > itemsMax) break;
      cursor = next;
    }
    if (found.length > itemsMax) throw new NikaError("full", `It lists more than ${itemsMax} ${key}.`);
    return found;
  };
  return {
    era: isModern ? "modern" : "legacy",
    owner,
    way: launched.way,
    serverInfo: client.getServerVersion() ?? { name: "?", version: "?" },
    capabilities: offers,
    instructions: client.getInstructions(),
    ended,
    hasEnded: () => hasEnded,
    request,
    notify: (method, params) => client.notification({ method, ...(params && { params }) }),
    async list(gone) {
      const { name, version: itsVersion } = client.getServerVersion() ?? { name: "?", version: "?" };
      const instructions = client.getInstructions();
      const [tools, prompts, resources, templates] = await Promise.all([
        offers.tools ? page<ToolDefinition>("tools/list", "tools", gone) : [],
        offers.prompts ? page<Prompt>("prompts/list", "prompts", gone) : [],
        offers.resources ? page<Resource>("resources/list", "resources", gone) : [],
        offers.resources ? page<Template>("resources/templates/list", "resourceTemplates", gone).catch(isUnknownMethod) : [],
      ]);
      return {
        era: isModern ? "modern" : "legacy",
        serverInfo: { name, version: itsVersion },
        capabilities: { ...offers },
        ...(instructions !== undefined && { instructions }),
        // One whose headers cannot be made is left out alone.
        tools: tools.filter((tool) => isTool(tool) && !(isModern && launched.way === "remote" && faultIn(tool) !== undefined)),
        prompts,
        resources,
        templates,
      };
    },
    pause: launched.pause,
    resume: launched.resume,
    async close() {
      left("it was stopped");
      await launched.stop().catch(() => undefined);
      await client.close().catch(() => undefined);
    },
  };
}

/** In the stateless era changes are told only to those who listen. */
async function listen(client: Client, offers: Record<string, unknown>): Promise<void> {
  const does = (kind: string): boolean => (offers[kind] as { listChanged?: boolean } | undefined)?.listChanged === true;
  const filter = {
    ...(does("tools") && { toolsListChanged: true }),
    ...(does("prompts") && { promptsListChanged: true }),
    ...(does("resources") && { resourcesListChanged: true }),
  };
  // One that does not answer is still good for calls.
  if (Object.keys(filter).length > 0) await client.listen(filter, { timeout: listMs }).catch(() => undefined);
}

/** What comes of a server elsewhere that is down, or answers with something that is no JSON, has no class of its own. */
function unheard(error: unknown, { way }: Launched): NikaError | undefined {
  if (way !== "remote" || !(error instanceof Error) || !["TypeError", "SyntaxError", "Error"].includes(error.name))
    return undefined;
  const why = error.cause instanceof Error ? error.cause.message : error.message;
  return new NikaError("unavailable", `The server cannot be used now (${shorten(why)}).`, { cause: error });
}

/** The token is good, but not for this. */
function refusedRights(error: unknown, { account }: Launched): NikaError | undefined {
  if (!(error instanceof InsufficientScopeError)) return undefined;
  return account?.lacks({ scope: error.requiredScope, resourceMetadataUrl: error.resourceMetadataUrl });
}

function isDeclared(capabilities: ClientCapabilities, method: AskedMethod): boolean {
  return (
    capabilities[method === "roots/list" ? "roots" : method === "elicitation/create" ? "elicitation" : "sampling"] !== undefined
  );
}

function isTool(tool: unknown): tool is ToolDefinition {
  if (typeof tool !== "object" || tool === null) return false;
  const { name, inputSchema } = tool as { name?: unknown; inputSchema?: unknown };
  return typeof name === "string" && name !== "" && typeof inputSchema === "object" && inputSchema !== null;
}

function isUnknownMethod(error: unknown): [] {
  if (error instanceof ProtocolError && error.code === -32601) return [];
  throw error;
}

function unreachable(error: unknown, said: readonly (string | undefined)[]): NikaError {
  const known = toNikaError(error);
  if (known.code !== "bug") return known;
  const why = said.find((one) => one !== undefined && one !== "");
  const last = said.filter((one) => one !== undefined && one !== "").join("; ");
  if (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout)
    return new NikaError("timeout", `It did not answer in time.${last === "" ? "" : ` It said: ${shorten(last)}`}`, {
      cause: error,
    });
  const status = error instanceof Error && "status" in error ? Number(error.status) : NaN;
  if (status === 401 || status === 403)
    return new NikaError(
      "denied",
      `It wants to know who asks (${status}); give it a header such as "Authorization": "Bearer \${secret:NAME}".`,
      {
        cause: error,
      },
    );
  const message =
    error instanceof Error ? `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ""}` : String(error);
  return new NikaError("unavailable", `It cannot be used: ${shorten(why === undefined ? message : last)}`, { cause: error });
}

const shorten = (text: string): string => (text.length > 400 ? `…${text.slice(-400)}` : text).replace(/\s+/g, " ").trim();

const soon = (): Promise<undefined> =>
  new Promise((done) => {
    setTimeout(() => done(undefined), 200).unref();
  });
