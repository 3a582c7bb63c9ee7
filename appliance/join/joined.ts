/**
 * The control plane as a worker on another machine reaches it: with a token of its own, through public functions made for it
 * (convex/joined.ts). The runtime does not notice; what it may not do is refused here and there.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ConvexClient } from "convex/browser";
import { getFunctionName, type FunctionReference } from "convex/server";
import { ConvexError } from "convex/values";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { codes, isNikaError, NikaError, type Code } from "../../convex/model/error.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Ticket } from "./door.ts";

export type JoinOptions = {
  /** Of the appliance. */
  readonly url: string;
  readonly secret: string;
  readonly log: (line: string) => void;
  /** The secret is not taken any more: there is nothing left to do here. */
  readonly onDenied: (error: NikaError) => void;
};

/** What a job's run uses to reach the control plane, as long as its lease holds. */
export type Lease = { readonly jobId: string; readonly token: string };

export type Joined = {
  readonly ticket: Ticket & { readonly convexUrl: string };
  /** For the runtime. */
  readonly state: State;
  readonly stateOf: (lease: Lease) => State;
  close(): Promise<void>;
};

const againMs = 2_000;
const answerMs = 10_000;

/** Fails with `denied` when the secret opens nothing, `unavailable` when nothing answers there, `invalid` when that is no Nika. */
export async function openJoined({ url, secret, log, onDenied }: JoinOptions): Promise<Joined> {
  const ticket = await fetchTicket(url, secret);
  const closing = new AbortController();
  /** What the control plane refuses for good ends the worker; everything else passes. */
  const heed = (error: unknown): unknown => {
    const known = toKnown(error);
    if (isNikaError(known) && known.code === "denied" && known.message.startsWith(goneWords)) onDenied(known);
    return known;
  };
  /** As long as the network is away there is no token to be had, and without one the client would give up for good. */
  const nextToken = async (): Promise<string | null> => {
    while (!closing.signal.aborted) {
      try {
        return (await fetchTicket(url, secret)).token;
      } catch (error) {
        if (isNikaError(error) && error.code === "denied") {
          onDenied(error);
          return null;
        }
        log(`no token for the control plane: ${error instanceof Error ? error.message : String(error)}`);
      }
      await delay(againMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    return null;
  };
  const client = new ConvexClient(ticket.convexUrl, { unsavedChangesWarning: false, logger: false });
  client.setAuth(nextToken);
  // The client's types follow each function; here the functions are only known by name.
  const open = client as unknown as {
    query(f: unknown, args: unknown): Promise<never>;
    mutation(f: unknown, args: unknown): Promise<never>;
    onUpdate(f: unknown, args: unknown, onResult: unknown, onError: unknown): () => void;
  };
  const told = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      throw heed(error);
    }
  };
  return {
    ticket,
    state: {
      query: (f, args) => told(open.query(publicOf(f), argsOf(f, args))),
      mutation: (f, args) => told(open.mutation(publicOf(f), argsOf(f, args))),
      watch: (f, args, onResult, onError) =>
        open.onUpdate(publicOf(f), args, onResult, (error: Error) => onError(heed(error) as Error)),
    },
    stateOf: ({ jobId, token }) => {
      const call = (f: unknown, args: unknown): object => ({
        jobId: jobId as Id<"jobs">,
        token,
        name: getFunctionName(f as FunctionReference<"query">),
        args,
      });
      return {
        query: (f, args) => told(open.query(api.joined.read, call(f, args))),
        mutation: (f, args) => told(open.mutation(api.joined.write, call(f, args))),
        watch: () => {
          throw new NikaError("denied", "A run on another machine watches nothing.");
        },
      };
    },
    async close() {
      closing.abort();
      await client.close();
    },
  };
}

/** What the runtime calls by its internal names has a public counterpart that checks who calls. */
const counterparts: Readonly<Record<string, FunctionReference<"query" | "mutation">>> = {
  "workers:hello": api.joined.hello,
  "workers:beat": api.joined.beat,
  "workers:orders": api.joined.orders,
  "workers:goodbye": api.joined.goodbye,
  "generations:spaces": api.joined.spaces,
  "work:head": api.joined.head,
  "work:exchange": api.joined.exchange,
  "work:progress": api.joined.progress,
};

function publicOf(f: unknown): FunctionReference<"query" | "mutation"> {
  const found = counterparts[getFunctionName(f as FunctionReference<"query">)];
  if (!found) throw new NikaError("denied", "A worker on another machine may not do this.");
  return found;
}

/** Its name is its token's, so it does not say one. */
function argsOf(f: unknown, args: object): object {
  if (getFunctionName(f as FunctionReference<"query">) !== "workers:hello") return args;
  const { name: _name, ...rest } = args as { readonly name: string };
  return rest;
}

/** How the control plane begins to say that a token was taken away. */
const goneWords = "This worker's token";

function toKnown(error: unknown): unknown {
  if (!(error instanceof ConvexError)) return error;
  const { code, message } = error.data as { readonly code?: string; readonly message?: string };
  if (code === undefined || !(code in codes) || message === undefined) return error;
  return new NikaError(code as Code, message, { cause: error });
}

async function fetchTicket(url: string, secret: string): Promise<Joined["ticket"]> {
  const response = await fetch(`${url}/nika/worker`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}` },
    signal: AbortSignal.timeout(answerMs),
  }).catch((error: unknown) => {
    throw new NikaError("unavailable", `Nothing answers at ${url}; is Nika running there, and may this machine reach it?`, {
      cause: error,
    });
  });
  const body = (await response.json().catch(() => undefined)) as Partial<Ticket & { code: string; message: string }> | undefined;
  if (response.ok && body?.token !== undefined && body.name !== undefined)
    return { ...(body as Ticket), convexUrl: body.convexUrl ?? url };
  const { code, message } = body ?? {};
  if (code !== undefined && code in codes && message !== undefined) throw new NikaError(code as Code, message);
  throw new NikaError("invalid", `What answers at ${url} is not a Nika that takes workers.`);
}
