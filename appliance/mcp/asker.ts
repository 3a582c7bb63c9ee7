/** Whoever has a conversation, as the servers see him: which of them are his own, what he may be asked, and what he said to all of them. */
import type { ClientCapabilities, Server, ServerContext } from "@modelcontextprotocol/server";
import type { Notification } from "@modelcontextprotocol/client";
import { canonicalJson } from "../../convex/model/tool.ts";
import type { Call } from "./call.ts";
import { sha256, type Era } from "./pool/kept.ts";
import { ours } from "./meta.ts";
import { untouched, type Asked, type Peer, type RequestWish } from "./pool/peer.ts";
import type { Scope } from "./scope.ts";

export type Asker = {
  /** What of a call depends on who has the conversation. */
  partOf(context: ServerContext): Pick<Call, "capabilities" | "scopeFor" | "prepare" | "during" | "asks">;
  subscribe(server: string, uri: string): void;
  unsubscribe(server: string, uri: string): void;
  /** Also told to those that run already. */
  setLevel(level: string): Promise<void>;
  tellRootsChanged(): Promise<void>;
};
export type AskerOptions = {
  /** Of the conversation. */
  readonly id: string;
  readonly era: Era;
  readonly server: Server;
  readonly eraOf: (server: string) => Era | undefined;
  /** Servers that each conversation is to have to itself. */
  readonly isOwn: (server: string) => boolean;
  /** Told of a server that this conversation now has to itself, and whenever that says that its lists changed. */
  readonly listed: (server: string, peer: Peer) => void;
};

const wishMs = 10_000;

/** Holds nothing that outlives the conversation. */
export function openAsker({ id, era, server, eraOf, isOwn, listed }: AskerOptions): Asker {
  const inFlight = new Map<string, ServerContext[]>();
  const prepared = new WeakSet<Peer>();
  const subscribed = new Map<string, Set<string>>();
  const peers = new Map<string, Peer>();
  let level: string | undefined;

  const latest = (name: string): ServerContext | undefined => inFlight.get(name)?.at(-1);
  const capabilitiesOf = (context: ServerContext): ClientCapabilities | undefined =>
    era === "modern"
      ? ((context.mcpReq.envelope as Record<string, unknown> | undefined)?.[`${ours}clientCapabilities`] as
          | ClientCapabilities
          | undefined)
      : server.getClientCapabilities();

  const asked =
    (name: string): Asked =>
    (method, params, signal) => {
      const request = { method, params: named(name, method, params) };
      const context = latest(name);
      return context ? context.mcpReq.send(request, untouched, { signal }) : server.request(request, untouched, { signal });
    };
  const told = (name: string, notification: Notification): void => {
    const { method } = notification;
    if (method === "notifications/progress" || method === "notifications/cancelled") return;
    if (method.endsWith("/list_changed")) {
      const peer = peers.get(name);
      if (peer?.owner === id) listed(name, peer);
      return;
    }
    const context = latest(name);
    const sent = context ? context.mcpReq.notify(notification) : server.notification(notification);
    sent.catch(() => undefined);
  };
  const scopeFor =
    (context: ServerContext) =>
    (name: string): Scope | undefined => {
      const { elicitation, sampling, roots } = capabilitiesOf(context) ?? {};
      const capabilities = { ...(elicitation && { elicitation }), ...(sampling && { sampling }), ...(roots && { roots }) };
      const isLegacyServer = eraOf(name) !== "modern";
      if (era === "modern") {
        // Servers of the same era put their questions into their answers, so only what may be asked matters.
        if (isLegacyServer) return undefined;
        return {
          key: `caps:${sha256(canonicalJson(capabilities)).slice(0, 16)}`,
          capabilities,
          asked: asked(name),
          told: () => undefined,
        };
      }
      const isPlain = Object.keys(capabilities).length === 0 && level === undefined && !subscribed.has(name) && !isOwn(name);
      if (isPlain) return undefined;
      return { key: id, isConversation: true, capabilities, asked: asked(name), told };
    };
  /** A server that this session has to itself hears what the session said before it was there. */
  const prepare = async (peer: Peer, name: string): Promise<void> => {
    if (era === "modern" || prepared.has(peer)) return;
    prepared.add(peer);
    peers.set(name, peer);
    if (peer.owner === id) listed(name, peer);
    const together = wish();
    if (level !== undefined && peer.capabilities["logging"] !== undefined && peer.era === "legacy")
      await peer.request("logging/setLevel", { level }, together).catch(() => undefined);
    for (const uri of subscribed.get(name) ?? [])
      await peer.request("resources/subscribe", { uri }, together).catch(() => undefined);
  };
  const during =
    (context: ServerContext): Call["during"] =>
    async (name, work) => {
      const contexts = inFlight.get(name) ?? [];
      contexts.push(context);
      inFlight.set(name, contexts);
      try {
        return await work();
      } finally {
        contexts.splice(contexts.indexOf(context), 1);
      }
    };
  const wish = (): RequestWish => ({ timeoutMs: wishMs, timeoutMsMax: wishMs, signal: AbortSignal.timeout(wishMs) });
  return {
    partOf: (context) => ({
      capabilities: capabilitiesOf(context),
      scopeFor: scopeFor(context),
      prepare,
      during: during(context),
      asks(name) {
        const { elicitation, sampling, roots } = capabilitiesOf(context) ?? {};
        if (era !== "modern" || eraOf(name) === "modern" || (!elicitation && !sampling && !roots)) return undefined;
        return { ...(elicitation && { elicitation }), ...(sampling && { sampling }), ...(roots && { roots }) };
      },
    }),
    subscribe(name, uri) {
      subscribed.set(name, (subscribed.get(name) ?? new Set()).add(uri));
    },
    unsubscribe(name, uri) {
      subscribed.get(name)?.delete(uri);
    },
    async setLevel(wanted) {
      level = wanted;
      const live = [...peers.values()].filter((peer) => !peer.hasEnded() && peer.capabilities["logging"] !== undefined);
      await Promise.all(live.map((peer) => peer.request("logging/setLevel", { level }, wish()).catch(() => undefined)));
    },
    async tellRootsChanged() {
      const gone = [...peers.values()].map((peer) => peer.notify("notifications/roots/list_changed").catch(() => undefined));
      await Promise.all(gone);
    },
  };
}

/** Whoever is asked sees which server wants to know. */
export function named(server: string, method: string, params: Record<string, unknown>): Record<string, unknown> {
  if (method !== "elicitation/create" || typeof params["message"] !== "string") return params;
  return { ...params, message: `${server}: ${params["message"]}` };
}
