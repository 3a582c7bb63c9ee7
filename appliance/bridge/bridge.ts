/** What the bridge does for whoever was let in: each verb once, whether it came over MCP, HTTP or a pipe. */
import { internal } from "../../convex/_generated/api.js";
import {
  pulledMax,
  toInstant,
  waitMsMax,
  type MessageState,
  type MessageView,
  type QueueStatus,
  type TokenRole,
  type Verb,
} from "../../convex/model/bridge.ts";
import { codes, NikaError, type Code } from "../../convex/model/error.ts";
import type { State } from "../../functions/ports/state.ts";

/** Who speaks. The owner may do everything, in the name of any target. */
export type Speaker = {
  readonly name: string;
  readonly role: TokenRole | "owner";
  /** The only target it may speak of. */
  readonly target: string | undefined;
};

type Args = Readonly<Record<string, unknown>>;

/** The verbs of the bridge, as names on the wire. */
export const bridgeVerbs = ["send", "pull", "status", "next", "ack", "start", "update", "complete", "error"] as const;
export type BridgeVerb = (typeof bridgeVerbs)[number];

const verbsOf: Readonly<Record<Speaker["role"], readonly BridgeVerb[]>> = {
  owner: bridgeVerbs,
  client: ["send", "pull", "status"],
  agent: ["next", "ack", "start", "update", "complete", "error", "status"],
};

export type Bridge = {
  /** Fails with `denied` when that is not for this speaker, `invalid` for what cannot be read. */
  readonly call: (speaker: Speaker, verb: BridgeVerb, args: Args, signal: AbortSignal) => Promise<object>;
};

/** Calls of one speaker at a time: each that waits holds a subscription. */
const underWayMax = 64;

export function openBridge(state: State): Bridge {
  const underWay = new Map<string, number>();
  const verbs: Readonly<Record<BridgeVerb, (speaker: Speaker, args: Args, signal: AbortSignal) => Promise<object>>> = {
    send: (speaker, args) => send(state, speaker, args),
    pull: (speaker, args, signal) => pull(state, speaker, args, signal),
    status: (speaker, args) => status(state, speaker, args),
    next: (speaker, args, signal) => next(state, speaker, args, signal),
    ack: (speaker, args) => say(state, speaker, "ack", args),
    start: (speaker, args) => say(state, speaker, "start", args),
    update: (speaker, args) => say(state, speaker, "update", args),
    complete: (speaker, args) => say(state, speaker, "complete", args),
    error: (speaker, args) => say(state, speaker, "error", args),
  };
  return {
    call: async (speaker, verb, args, signal) => {
      if (!verbsOf[speaker.role].includes(verb))
        throw new NikaError("denied", `A token of role ${speaker.role} may not ${verb}.`);
      const who = `${speaker.role}:${speaker.name}`;
      const count = (underWay.get(who) ?? 0) + 1;
      if (count > underWayMax)
        throw new NikaError("full", `${speaker.name} has ${underWayMax} calls under way; wait for one to end.`);
      underWay.set(who, count);
      try {
        return await inWords(() => verbs[verb](speaker, args, signal));
      } finally {
        const left = (underWay.get(who) ?? 1) - 1;
        if (left === 0) underWay.delete(who);
        else underWay.set(who, left);
      }
    },
  };
}

async function send(state: State, speaker: Speaker, args: Args): Promise<object> {
  const target = targetOf(speaker, args);
  const isUrgent = toFlag(args, "urgent");
  const replyTo = toOptionalText(args, "reply_to");
  const sent = await state.mutation(internal.bridge.deliver, {
    text: toNeededText(args, "message"),
    from: speaker.name,
    ...(target !== undefined && { target }),
    ...(isUrgent !== undefined && { isUrgent }),
    ...(replyTo !== undefined && { replyTo }),
  });
  return sent.queued
    ? { queued: true, id: sent.id, target: sent.target }
    : { queued: false, reason: sent.reason, id: sent.id, target: sent.target };
}

export type Pulled = {
  readonly updates: readonly {
    readonly message_id: string | null;
    readonly content: string;
    readonly created_at: string;
    readonly target: string;
    readonly seq: number;
    readonly type: string;
  }[];
  readonly cursor: string;
  readonly more: boolean;
};

async function pull(state: State, speaker: Speaker, args: Args, signal: AbortSignal): Promise<Pulled> {
  const target = targetOf(speaker, args);
  const cursor = toOptionalText(args, "cursor");
  const since = toOptionalText(args, "since");
  if (cursor !== undefined && since !== undefined) throw new NikaError("invalid", `Give "cursor" or "since", not both.`);
  const as = toOptionalText(args, "as");
  // Whoever holds a token reads in one place; a second place is a second token.
  if (as !== undefined && speaker.role !== "owner") throw new NikaError("denied", "Only the owner may read as somebody else.");
  const asked = {
    // A name of its own within the speaker's, for whoever reads in several places.
    consumer: as === undefined ? `${speaker.role}:${speaker.name}` : `${speaker.role}:${speaker.name}/${as.slice(0, 64)}`,
    ...(target !== undefined && { target }),
    ...(cursor !== undefined && { cursor }),
    ...(since !== undefined && { sinceAt: toInstant(since) }),
  };
  const look = async (): Promise<Pulled> => {
    const { updates, cursor: reached, isMore } = await state.mutation(internal.bridge.pull, { ...asked, limit: pulledMax });
    return {
      updates: updates.map(({ messageId, text, createdAt, target: of, seq, type }) => ({
        message_id: messageId ?? null,
        content: text,
        created_at: new Date(createdAt).toISOString(),
        target: of,
        seq,
        type,
      })),
      cursor: reached,
      more: isMore,
    };
  };
  const ends = endOf(args, signal);
  for (;;) {
    const pulled = await look();
    if (pulled.updates.length > 0 || ends.signal.aborted) return pulled;
    await until(state, { query: internal.bridge.hasNews, args: asked, isEnough: (hasNews) => hasNews }, ends.signal);
    // Hanging up must not move its place on: nobody would read what is given.
    signal.throwIfAborted();
  }
}

async function status(state: State, speaker: Speaker, args: Args): Promise<QueueStatus> {
  const target = targetOf(speaker, args);
  return state.query(internal.bridge.queueStatus, target === undefined ? {} : { target });
}

async function next(state: State, speaker: Speaker, args: Args, signal: AbortSignal): Promise<object> {
  const target = mustTarget(speaker, args);
  const asked = { target, isUrgentOnly: toFlag(args, "urgent_only") ?? false };
  const ends = endOf(args, signal);
  const isEnough = ({ message }: NextFound): boolean => message !== null;
  const found = await until(state, { query: internal.bridge.next, args: asked, isEnough }, ends.signal);
  signal.throwIfAborted();
  const { message, open } = found ?? (await state.query(internal.bridge.next, asked));
  return { message: message && toWire(message), open: open.map(toWire) };
}

async function say(state: State, speaker: Speaker, verb: Verb, args: Args): Promise<object> {
  const messageId = toOptionalText(args, "id");
  const target = speaker.role === "owner" && messageId !== undefined ? undefined : mustTarget(speaker, args);
  const text = toOptionalText(args, "content");
  const key = toOptionalText(args, "key");
  const said: { state: MessageState | null; seq: number | null; urgent: number } = await state.mutation(internal.bridge.say, {
    verb,
    ...(messageId !== undefined && { messageId }),
    ...(target !== undefined && { target }),
    ...(text !== undefined && { text }),
    ...(key !== undefined && { key: key.slice(0, 200) }),
  });
  return said;
}

function toWire({ id, target, text, state, isUrgent, from, replyTo, createdAt }: MessageView): object {
  return {
    id,
    target,
    message: text,
    state,
    urgent: isUrgent,
    from,
    reply_to: replyTo ?? null,
    created_at: new Date(createdAt).toISOString(),
  };
}

/** The target asked about, which a speaker with only one cannot leave. */
function targetOf(speaker: Speaker, args: Args): string | undefined {
  const asked = toOptionalText(args, "target");
  if (speaker.target === undefined || asked === undefined) return asked ?? speaker.target;
  if (asked.trim().toLowerCase() !== speaker.target)
    throw new NikaError("denied", `This token is good for ${speaker.target} only.`);
  return speaker.target;
}

function mustTarget(speaker: Speaker, args: Args): string {
  const target = targetOf(speaker, args);
  if (target === undefined) throw new NikaError("invalid", `Say which "target".`);
  return target;
}

/** Fires when the caller has waited as long as asked, or hung up. */
function endOf(args: Args, signal: AbortSignal): { readonly signal: AbortSignal } {
  const { wait } = args;
  if (wait === undefined) return { signal: AbortSignal.abort() };
  if (typeof wait !== "number" || !(wait >= 0))
    throw new NikaError("invalid", `"wait" must be a number of seconds from 0 to 25.`);
  const ms = Math.min(wait * 1000, waitMsMax);
  return { signal: ms === 0 ? AbortSignal.abort() : AbortSignal.any([signal, AbortSignal.timeout(ms)]) };
}

type NextFound = (typeof internal.bridge.next)["_returnType"];
type Wanted<F extends Parameters<State["watch"]>[0]> = {
  readonly query: F;
  readonly args: Parameters<State["watch"]>[1];
  readonly isEnough: (result: F["_returnType"]) => boolean;
};

/** The first result that will do, told by the control plane as it becomes so; undefined when `signal` came first. */
async function until<F extends Parameters<State["watch"]>[0]>(
  state: State,
  { query, args, isEnough }: Wanted<F>,
  signal: AbortSignal,
): Promise<F["_returnType"] | undefined> {
  if (signal.aborted) return undefined;
  const { promise, resolve, reject } = Promise.withResolvers<F["_returnType"] | undefined>();
  const unwatch = state.watch(
    query,
    args,
    (result: F["_returnType"]) => {
      if (isEnough(result)) resolve(result);
    },
    reject,
  );
  const stop = (): void => resolve(undefined);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    unwatch();
  }
}

/** What the control plane refused, as an error of ours. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const data = (error as { data?: { code?: unknown; message?: unknown } | string }).data;
    const told = typeof data === "string" ? (JSON.parse(data) as { code?: unknown; message?: unknown }) : data;
    if (typeof told?.code === "string" && told.code in codes && typeof told.message === "string")
      throw new NikaError(told.code as Code, told.message, { cause: error });
    throw error;
  }
}

function toOptionalText(args: Args, name: string): string | undefined {
  const value = args[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new NikaError("invalid", `"${name}" must be a text.`);
  return value;
}

function toNeededText(args: Args, name: string): string {
  const text = toOptionalText(args, name);
  if (text === undefined) throw new NikaError("invalid", `Say it in "${name}".`);
  return text;
}

function toFlag(args: Args, name: string): boolean | undefined {
  const value = args[name];
  if (value === undefined) return undefined;
  if (typeof value !== "boolean") throw new NikaError("invalid", `"${name}" must be true or false.`);
  return value;
}
