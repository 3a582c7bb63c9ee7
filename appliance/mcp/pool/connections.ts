/** Connections to servers: one for each scope, started at its first call, shared by all calls of that scope, given up when it dies or hangs. */
import { SdkError, SdkErrorCode, SdkHttpError, type Notification } from "@modelcontextprotocol/client";
import { isNikaError, NikaError, toNikaError } from "../../../convex/model/error.ts";
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { Listing } from "./kept.ts";
import type { Launcher } from "./launch.ts";
import { openPeer, type Peer } from "./peer.ts";
import type { Registry } from "./registry.ts";
import type { Room } from "./room.ts";
import { everything, nobody, sharedKey, type Scope } from "../scope.ts";
import { holdBack, type Held, type Slot } from "./slot.ts";

export type Connections = {
  /** Runs `work` with a connection, started when there is none. */
  use: Use<string>;
  /** The same for a slot that may not have its place yet. */
  useSlot: Use<Slot>;
  /** Ends what a scope holds. */
  drop(slot: Slot, key: string): Promise<void>;
};
type Use<Of> = <T>(of: Of, scope: Scope | undefined, signal: AbortSignal, work: (peer: Peer) => Promise<T>) => Promise<T>;
export type ConnectionsOptions = {
  readonly registry: Registry;
  readonly room: () => Room;
  readonly launcher: Launcher;
  readonly isBareAllowed: (config: ServerConfig) => boolean;
  /** From when on what it was started with is no longer good. */
  readonly staleAt?: ((server: string) => number | undefined) | undefined;
  /** Told of every notification of a server, before whoever has it to himself. */
  readonly heard: (slot: Slot, notification: Notification) => void;
  readonly version: string;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

/** In a row; then it is taken to hang. */
const hangsMax = 3;
/** A verdict for the old era is looked at again: a server that was upgraded would never tell. */
const legacyVerdictMs = 7 * 24 * 3_600_000;

/** Starts nothing by itself. */
export function openConnections(options: ConnectionsOptions): Connections {
  const { registry, room, launcher, isBareAllowed, heard, version, log, now } = options;
  let launches = 0;

  function mustMayStart(slot: Slot): void {
    const waitMs = slot.retryAt - now();
    if (waitMs <= 0) return;
    throw new NikaError(
      "unavailable",
      `"${slot.config.name}" does not run: ${slot.problem ?? "it failed"} It is tried again in ${Math.ceil(waitMs / 1000)} s.`,
    );
  }

  /** Single-flight for each scope: two calls at once start one server. */
  async function acquire(slot: Slot, scope: Scope | undefined, signal: AbortSignal): Promise<Held> {
    const key = scope?.key ?? sharedKey;
    let known = slot.held.get(key);
    if (known?.peer && known.inFlight === 0 && now() >= (options.staleAt?.(slot.config.name) ?? Number.POSITIVE_INFINITY)) {
      void drop(slot, key);
      known = undefined;
    }
    if (known && !known.peer?.hasEnded()) {
      known.inFlight += 1;
      try {
        await untilGone(known.opening, signal);
        if (known.isPaused) await wake(known);
        return known;
      } catch (error) {
        known.inFlight -= 1;
        throw error;
      }
    }
    mustMayStart(slot);
    const { promise, resolve, reject } = Promise.withResolvers<Peer>();
    promise.catch(() => undefined);
    const held: Held = { opening: promise, peer: undefined, inFlight: 1, lastAt: now(), isPaused: false, startedAt: now() };
    slot.held.set(key, held);
    registry.changed();
    start(slot, scope, key, held).then(resolve, reject);
    try {
      await untilGone(held.opening, signal);
      return held;
    } catch (error) {
      held.inFlight -= 1;
      throw error;
    }
  }

  async function start(slot: Slot, scope: Scope | undefined, key: string, held: Held): Promise<Peer> {
    const { config } = slot;
    try {
      // Counted from now on, so that two that start at once see each other.
      await room().make(slot);
      const peer = await open(slot, scope, launches++);
      held.peer = peer;
      slot.problem = undefined;
      void peer.ended.then((why) => lost(slot, key, held, why));
      return peer;
    } catch (thrown) {
      if (slot.held.get(key) === held) slot.held.delete(key);
      const error = toNikaError(thrown);
      if (error.code !== "full") holdBack(slot, error.message, now());
      if (error.code === "bug") log(`mcp ${config.name}: ${String(error.cause)}`);
      const message = error.message.startsWith(`"${config.name}"`) ? error.message : `"${config.name}": ${error.message}`;
      throw new NikaError(error.code === "bug" ? "unavailable" : error.code, message, { cause: thrown });
    } finally {
      registry.changed();
    }
  }

  async function open(slot: Slot, scope: Scope | undefined, number: number): Promise<Peer> {
    const { config, hash } = slot;
    const known = registry.catalog.value[config.name];
    const isStale = !known || known.hash !== hash || (known.era === "legacy" && now() - known.eraAt > legacyVerdictMs);
    const attempt = async (era: Listing["era"] | undefined, again: number): Promise<Peer> => {
      const id = `nika-mcp-${config.name}-${process.pid}-${number}${again === 0 ? "" : `-${again}`}`;
      const launched = await launcher(config, { id, isBareAllowed: isBareAllowed(config) }, registry.stopped.signal);
      return openPeer({
        version,
        launched,
        era,
        capabilities: scope?.capabilities ?? everything,
        owner: scope?.key ?? sharedKey,
        asked: scope?.asked ?? nobody,
        told(notification) {
          // What a conversation hears from a server of its own is news for it alone.
          if (scope?.isConversation !== true) heard(slot, notification);
          scope?.told(config.name, notification);
        },
        signal: registry.stopped.signal,
      });
    };
    if (!isStale) return attempt(known.era, 0);
    try {
      return await attempt(undefined, 0);
    } catch (error) {
      // Some servers end when the first thing they hear is not the handshake they know; some take longer to start than one waits for an answer to it.
      if (config.transport.type !== "stdio" || !isHandshakeShy(error)) throw error;
      return attempt("legacy", 1).catch((second: unknown) => {
        throw isNikaError(second) && second.code !== "unavailable" ? second : error;
      });
    }
  }

  /** It went away by itself, or we closed it and it is not held any more. */
  function lost(slot: Slot, key: string, held: Held, why: string): void {
    if (slot.held.get(key) !== held) return;
    slot.held.delete(key);
    registry.changed();
    // A connection to elsewhere may be closed at any time.
    if (held.peer?.way === "remote" || slot.isDraining) return;
    if (now() - held.startedAt > 60_000) slot.failures = 0;
    holdBack(slot, `The server stopped: ${why}`, now());
    log(`mcp ${slot.config.name}: ${why}`);
  }

  async function drop(slot: Slot, key: string): Promise<void> {
    const held = slot.held.get(key);
    slot.held.delete(key);
    registry.changed();
    await held?.opening.then(
      (peer) => peer.close(),
      () => undefined,
    );
  }

  async function wake(held: Held): Promise<void> {
    held.isPaused = false;
    await held.peer?.resume?.();
    registry.changed();
  }

  async function useSlot<T>(
    slot: Slot,
    scope: Scope | undefined,
    signal: AbortSignal,
    work: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const held = await acquire(slot, scope, signal);
    try {
      const result = await work(held.peer ?? (await held.opening));
      slot.failures = 0;
      slot.hangs = 0;
      slot.retryAt = 0;
      return result;
    } catch (error) {
      if (isTimeout(error) && ++slot.hangs >= hangsMax) {
        holdBack(slot, `It did not answer ${hangsMax} times in a row, and was stopped`, now());
        void drop(slot, scope?.key ?? sharedKey);
      }
      throw error;
    } finally {
      held.inFlight -= 1;
      held.lastAt = now();
    }
  }

  async function use<T>(
    server: string,
    scope: Scope | undefined,
    signal: AbortSignal,
    work: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const slot = registry.get(server);
    try {
      return await useSlot(slot, scope, signal, work);
    } catch (error) {
      // The session is unknown there, so nothing was done: once more, with a new one.
      if (!(error instanceof SdkHttpError && error.status === 404)) throw error;
      await drop(slot, scope?.key ?? sharedKey);
      return useSlot(slot, scope, signal, work);
    }
  }

  return { use, useSlot, drop };
}

/** Whether asking for the newer era may be what went wrong. */
export const isHandshakeShy = (error: unknown): boolean =>
  isNikaError(error) && (error.code === "unavailable" || error.code === "timeout");

const isTimeout = (error: unknown): boolean => error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;

/** Whoever hangs up waits no longer; what was begun goes on. */
async function untilGone<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new NikaError("cancelled", "The call was withdrawn.");
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(new NikaError("cancelled", "The call was withdrawn."));
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
