/** One call on its way through the gateway: what is asked for, by whom, and how whoever asked can be asked back. */
import type { ClientCapabilities, ServerContext } from "@modelcontextprotocol/server";
import type { Peer } from "./pool/peer.ts";
import type { Routes } from "./routes.ts";
import type { Scope } from "./scope.ts";

export type Call = {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  readonly principal: string;
  readonly session: string;
  /** Of calls with the same, one may know what another brought; empty for whoever has no conversation. */
  readonly thread: string;
  readonly isApproved: boolean;
  readonly signal: AbortSignal;
  /** Of whoever asks; absent without a conversation. */
  readonly context?: ServerContext;
  readonly capabilities?: ClientCapabilities | undefined;
  /** As whoever asks may use them. */
  readonly routes: () => Routes;
  readonly scopeFor: (server: string) => Scope | undefined;
  /** What a server with handshakes may ask a stateless caller in the middle of this call; undefined when nothing. */
  readonly asks: (server: string) => ClientCapabilities | undefined;
  readonly prepare: (peer: Peer, server: string) => Promise<void>;
  /** Begins and ends the time in which a server may ask about this call. */
  readonly during: <T>(server: string, work: () => Promise<T>) => Promise<T>;
};
