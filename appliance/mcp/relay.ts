/** Carries a call to its server and the answer back: progress and cancellation on the way, questions through to whoever asked. */
import { setImmediate } from "node:timers/promises";
import type { Result } from "@modelcontextprotocol/server";
import type { Call } from "./call.ts";
import type { Guard } from "./guard/guard.ts";
import { cleaned, withoutOurs } from "./meta.ts";
import { headersFor } from "./paramHeaders.ts";
import type { Parking } from "./parked.ts";
import type { Peer } from "./pool/peer.ts";
import { approvalKey } from "./policy.ts";
import type { Pool } from "./pool/pool.ts";
import type { ToolRoute } from "./routes.ts";
import type { Recent } from "./pool/recent.ts";
import type { Sealer } from "./seal.ts";

type SentRoute = Pick<ToolRoute, "server" | "tool" | "ruling">;
export type Relay = {
  /** The same for a tool, whose answer must be what it promised. */
  sendTo(call: Call, route: SentRoute): Promise<Result>;
  /** `params` as the server is to see them. Fails as the server, the pool or the guard does. */
  send(call: Call, server: string, method: string, params: Record<string, unknown>): Promise<Result>;
  /** What goes on to the server besides name and arguments: what the asker answered, and what he says about the call. */
  beside(call: Call, method: string): Record<string, unknown>;
};

export type RelayOptions = {
  readonly pool: Pick<Pool, "configOf" | "use">;
  readonly sealer: Sealer;
  readonly parking: Parking;
  readonly guard: Pick<Guard, "take" | "told">;
  /** Told of what only read, as it was answered. */
  readonly recent?: Pick<Recent, "note">;
};

/** What may be answered with a question. */
const askable = new Set(["tools/call", "prompts/get", "resources/read"]);

/** Of the pool it needs connections, and how long they may take. */
export function openRelay({ pool, sealer, parking, guard, recent }: RelayOptions): Relay {
  type Message = { readonly method: string; readonly params: Record<string, unknown>; readonly route?: SentRoute };
  async function carry(call: Call, server: string, { method, params, route }: Message): Promise<Result> {
    const { context } = call;
    const { callMs, callMsMax } = pool.configOf(server);
    const token = call.meta?.["progressToken"];
    const isTold = context !== undefined && (typeof token === "string" || typeof token === "number");
    const sending = new Set<Promise<void>>();
    const headers = route && headersFor(route.tool, params["arguments"]);
    const { inputResponses: answers, requestState, ...plain } = params;
    const brought = typeof requestState === "string" ? requestState : undefined;
    // Calls that were parked are taken up again whatever is known of the server now.
    const asks = askable.has(method) && (brought === undefined || parking.isOurs(brought)) ? call.asks(server) : undefined;
    const work = async (peer: Peer, signal = call.signal): Promise<Result> => {
      await call.prepare(peer, server);
      return peer.request(method, asks ? plain : params, {
        timeoutMs: asks ? callMsMax : callMs,
        timeoutMsMax: callMsMax,
        signal,
        isInputRelayed: true,
        ...(headers && { headers }),
        ...(isTold && {
          onProgress: (progress) => {
            const params = { ...progress, progressToken: token };
            const sent = context.mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined);
            sending.add(sent);
            void sent.finally(() => sending.delete(sent));
          },
        }),
      });
    };
    const use = (): Promise<Result> =>
      asks
        ? parking.carry({
            principal: call.principal,
            server,
            capabilities: asks,
            signal: call.signal,
            callMs,
            state: brought,
            answers: (answers ?? {}) as Record<string, unknown>,
            begin: (scope, signal) => pool.use(server, scope, signal, (peer) => work(peer, signal)),
          })
        : pool.use(server, call.scopeFor(server), call.signal, work);
    const answer = await call.during(server, use).catch((error: unknown) => {
      throw guard.told(server, error);
    });
    // Progress goes before the answer that ends it, and not in the same breath: clients would lose it.
    if (sending.size > 0) {
      await Promise.all(sending);
      await setImmediate();
    }
    const meta = cleaned(answer);
    const { _meta: _dropped, ...rest } = answer;
    const result = guard.take(call, server, { ...rest, ...(meta && { _meta: meta }) }, route?.tool);
    if (route?.ruling.class === "read" && rest["isError"] !== true && rest["resultType"] !== "input_required")
      recent?.note(server, { tool: route.tool.name, args: call.args, result: rest });
    const state = rest["requestState"];
    return {
      ...result,
      // Upstream's word is kept inside ours, which only whoever was given it may bring back, for the same call.
      ...(rest["resultType"] === "input_required" && {
        requestState: sealer.seal(call, method, typeof state === "string" ? state : undefined),
      }),
    };
  }

  function beside(call: Call, method: string): Record<string, unknown> {
    const request = call.context?.mcpReq;
    const given = request?.requestState<string>();
    const inner = given === undefined ? undefined : sealer.unseal(call, method, given);
    const meta = withoutOurs(call.meta);
    const { [approvalKey]: _approval, ...answers } = request?.inputResponses ?? {};
    return {
      ...(meta && { _meta: meta }),
      ...(Object.keys(answers).length > 0 && { inputResponses: answers }),
      ...(inner !== undefined && { requestState: inner }),
    };
  }

  return {
    beside,
    send: (call, server, method, params) => carry(call, server, { method, params }),
    sendTo(call, route) {
      const { server, tool } = route;
      const params = { ...beside(call, "tools/call"), name: tool.name, arguments: { ...call.args } };
      return carry(call, server, { method: "tools/call", params, route });
    },
  };
}
