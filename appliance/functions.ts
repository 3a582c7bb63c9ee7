/** The owner's functions, joined to what they need: sandboxes, schedules, secrets and the call that somebody waits for. */
import { totalmem } from "node:os";
import { NikaError } from "../convex/model/error.ts";
import { scheduledInput } from "../convex/model/userFunction.ts";
import type { Ports } from "../functions/define.ts";
import { callFunction } from "../functions/functions/call.ts";
import type { Sandboxes } from "../functions/ports/sandboxes.ts";
import type { Secrets } from "../functions/ports/secrets.ts";
import type { State } from "../functions/ports/state.ts";
import { runCall } from "../functions/runtime/call.ts";
import { declare, type Planner } from "./owned/declared.ts";
import { functionRoutes, type FunctionRoutes } from "./owned/http.ts";
import { openOwned, type Owned } from "./owned/owned.ts";

/** Of the machine's memory, for all warm sandboxes together, and never more than is good for a small one. */
const memoryShare = 0.25;
const memoryMiBMax = 2_048;

/** More stands in the list of the function's runs. */
const answerCharsMax = 2_000;

type Options = {
  readonly dataDir: string;
  readonly state: State;
  readonly sandboxes: Sandboxes;
  /** Asked only when a function is there that wants a schedule. */
  readonly planner: () => Planner;
  readonly log: (line: string) => void;
};

export function openFunctions({ dataDir, state, sandboxes, planner, log }: Options): Promise<Owned> {
  const ownMiB = Math.floor((totalmem() / 1024 / 1024) * memoryShare);
  return openOwned({
    dataDir,
    state,
    sandboxes,
    memoryMiBMax: Math.min(memoryMiBMax, ownMiB),
    declare: (name, phrase) => declare(planner(), name, phrase),
    log,
  });
}

/** What a function returns when a schedule says something to it, in a few lines. For the port `answers`. */
export async function answerOf(
  name: string,
  prompt: string,
  { ports, signal }: { readonly ports: Ports; readonly signal: AbortSignal },
): Promise<string> {
  const args = { name, input: scheduledInput(prompt, ports.clock.now()), trigger: "schedule" as const };
  const { ok, output = "null", error } = await runCall(callFunction, { args, ports, signal });
  if (!ok) throw new NikaError("conflict", error?.message ?? `The function ${name} failed.`);
  const value: unknown = JSON.parse(output);
  const text = typeof value === "string" ? value : output;
  return text.length <= answerCharsMax ? text : `${text.slice(0, answerCharsMax)}…`;
}

type RouteOptions = {
  readonly owned: Owned;
  readonly ports: Ports;
  readonly secrets: Secrets;
  readonly log: (line: string) => void;
};

export function routesOf({ owned, ports, secrets, log }: RouteOptions): FunctionRoutes {
  return functionRoutes({
    owned,
    call: (args, signal) => runCall(callFunction, { args, ports, signal }),
    state: ports.state,
    files: ports.files,
    secrets,
    now: ports.clock.now,
    log,
  });
}
