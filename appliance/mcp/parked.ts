/**
 * A server of the era with handshakes asks in the middle of a call; a client of the stateless era is asked in the answer to it. Between the two the call is
 * parked: it goes on at the server, the client is answered with the question, and its next request takes the call up again. Each such call has a
 * connection to itself while it runs, so that a question is of no other.
 */
import { randomUUID } from "node:crypto";
import { ProtocolError, type ClientCapabilities, type Result } from "@modelcontextprotocol/server";
import { NikaError } from "../../convex/model/error.ts";
import { canonicalJson } from "../../convex/model/tool.ts";
import { invalidParams } from "./answer.ts";
import { named } from "./asker.ts";
import { sha256 } from "./pool/kept.ts";
import type { Asked, AskedMethod } from "./pool/peer.ts";
import { nobody, type Scope } from "./scope.ts";

export type Parkable = {
  readonly principal: string;
  readonly server: string;
  /** What whoever calls can be asked. */
  readonly capabilities: ClientCapabilities;
  /** Of the request at hand: hanging up withdraws the call. */
  readonly signal: AbortSignal;
  /** So long the server may take without asking anything. */
  readonly callMs: number;
  /** The state that was brought back, and what was answered. */
  readonly state: string | undefined;
  readonly answers: Readonly<Record<string, unknown>>;
  /** Begins the call. */
  readonly begin: (scope: Scope, signal: AbortSignal) => Promise<Result>;
};
export type Parking = {
  /** The answer, or the question with the state to bring back. Fails with `timeout`, or as the protocol has it for a call that is over. */
  carry(call: Parkable): Promise<Result>;
  /** Whether a state is of a call that was parked here. */
  isOurs(state: string | undefined): boolean;
};

type Question = {
  readonly method: AskedMethod;
  readonly params: object;
  readonly answer: (result: Result) => void;
  readonly drop: (why: Error) => void;
};
type Live = {
  readonly principal: string;
  readonly server: string;
  readonly questions: Map<string, Question>;
  readonly ended: Promise<Result>;
  readonly stop: AbortController;
  /** Resolves with the next question. */
  asked: PromiseWithResolvers<void>;
};

const prefix = "parked:";
const parkedMs = 10 * 60_000;
const perPrincipalMax = 16;
/** Questions that come in one breath are asked in one answer. */
const breathMs = 5;

/** Holds calls that wait for an answer, for ten minutes at most. */
export function openParking(): Parking {
  const lives = new Map<string, Live>();
  /** Connections outlive calls: by whose call each is used now, questions are answered. */
  const askers = new Map<string, Asked>();
  const end = (id: string, why?: Error): void => {
    const live = lives.get(id);
    lives.delete(id);
    if (!live || !why) return;
    for (const { drop } of live.questions.values()) drop(why);
    live.stop.abort(why);
  };

  function begin({ principal, server, capabilities, begin: start }: Parkable): string {
    const id = `${prefix}${randomUUID()}`;
    const mine = [...lives].filter(([, live]) => live.principal === principal);
    if (mine.length >= perPrincipalMax) end(mine[0]?.[0] ?? "", new NikaError("full", "Too many calls wait for an answer."));
    const questions: Live["questions"] = new Map();
    const stop = new AbortController();
    let asks = 0;
    const base = `asks:${sha256(canonicalJson([principal, capabilities])).slice(0, 16)}`;
    let number = 0;
    while (askers.has(`${server} ${base}:${number}`)) number += 1;
    const place = `${server} ${base}:${number}`;
    askers.set(
      place,
      (method, params, signal) =>
        new Promise((answer, drop) => {
          const key = `question${++asks}`;
          questions.set(key, { method, params: named(server, method, params), answer, drop });
          // The server may think better of it.
          signal.addEventListener("abort", () => questions.delete(key), { once: true });
          live.asked.resolve();
        }),
    );
    const scope: Scope = {
      key: `${base}:${number}`,
      capabilities,
      told: () => undefined,
      asked: (...question) => (askers.get(place) ?? nobody)(...question),
    };
    const over = setTimeout(() => end(id, new NikaError("timeout", "Nobody answered the server's question.")), parkedMs).unref();
    const ended = start(scope, stop.signal).finally(() => {
      clearTimeout(over);
      askers.delete(place);
      lives.delete(id);
    });
    ended.catch(() => undefined);
    const live: Live = { principal, server, questions, ended, stop, asked: Promise.withResolvers() };
    lives.set(id, live);
    return id;
  }

  return {
    isOurs: (state) => state?.startsWith(prefix) === true,
    async carry(call) {
      const id = call.state ?? begin(call);
      const live = lives.get(id);
      if (!live || live.principal !== call.principal || live.server !== call.server)
        throw new ProtocolError(invalidParams, "That call is over; call again.");
      live.asked = Promise.withResolvers();
      for (const [key, given] of Object.entries(call.answers)) {
        const question = live.questions.get(key);
        live.questions.delete(key);
        question?.answer(given as Result);
      }
      const gone = Promise.withResolvers<never>();
      const leave = (): void => {
        gone.reject(new NikaError("cancelled", "The call was withdrawn."));
        end(id, new NikaError("cancelled", "The call was withdrawn."));
      };
      call.signal.addEventListener("abort", leave, { once: true });
      const timer = setTimeout(() => {
        gone.reject(new NikaError("timeout", `${call.server} did not answer in time.`));
        end(id, new NikaError("timeout", "It did not answer in time."));
      }, call.callMs);
      gone.promise.catch(() => undefined);
      try {
        // What was left without an answer is asked again.
        const next = live.questions.size > 0 ? Promise.resolve(undefined) : live.asked.promise;
        const result = await Promise.race([live.ended, next, gone.promise]);
        if (result) return result;
        await new Promise((done) => {
          setTimeout(done, breathMs);
        });
        const inputRequests = Object.fromEntries(
          [...live.questions].map(([key, { method, params }]) => [key, { method, params }]),
        );
        return { resultType: "input_required", inputRequests, requestState: id };
      } finally {
        clearTimeout(timer);
        call.signal.removeEventListener("abort", leave);
      }
    },
  };
}
