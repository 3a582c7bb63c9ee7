/** The control plane, reached with the appliance's own authority. Container or embedded engine: the client cannot tell. */
import { ConvexClient } from "convex/browser";
import { getFunctionName, type FunctionReference } from "convex/server";
import { ConvexError, convexToJson, jsonToConvex } from "convex/values";
import type { Result } from "./engine/model/call.ts";
import type { Engine } from "./engine/engine.ts";
import type { State } from "../functions/ports/state.ts";

export type OpenState = State & { close(): Promise<void> };

export type StateOptions = {
  readonly url: string;
  readonly adminKey: string;
  /** The engine, where it runs in this process: calls go to it without a socket between. */
  readonly near?: Engine | undefined;
};

/** Connects in the background; calls made before that wait. `adminKey` lets it reach internal functions. */
export function openState(options: StateOptions): OpenState {
  const client = new ConvexClient(options.url, { unsavedChangesWarning: false, logger: false });
  // Public in the code, left out of the published types.
  (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(options.adminKey);
  // The client's types know public functions only; with an admin key it may call internal ones as well.
  const open = client as unknown as {
    query(f: unknown, args: unknown): Promise<never>;
    mutation(f: unknown, args: unknown): Promise<never>;
    onUpdate(f: unknown, args: unknown, onResult: unknown, onError: unknown): () => void;
  };
  return {
    query: options.near ? queryIn(options.near) : (f, args) => open.query(f, args),
    mutation: options.near ? mutateIn(options.near) : (f, args) => open.mutation(f, args),
    watch: (f, args, onResult, onError) => open.onUpdate(f, args, onResult, onError),
    close: () => client.close(),
  };
}

/** As the client does it, errors included. What is watched may be told a moment later than the answer comes. */
function mutateIn(engine: Engine): State["mutation"] {
  return async (f, args) => {
    const name = getFunctionName(f as FunctionReference<"mutation">);
    return valueOf(await engine.mutate(name, JSON.stringify(convexToJson(args))));
  };
}

function queryIn(engine: Engine): State["query"] {
  return async (f, args) => {
    const name = getFunctionName(f as FunctionReference<"query">);
    return valueOf(await engine.query(name, JSON.stringify(convexToJson(args))));
  };
}

function valueOf(result: Result): never {
  if (result.ok) return jsonToConvex(JSON.parse(result.value)) as never;
  if (result.data === undefined) throw new Error(result.message);
  throw new ConvexError(jsonToConvex(JSON.parse(result.data)));
}
