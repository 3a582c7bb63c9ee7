/** The owner's functions, joined to what they need: sandboxes, schedules, secrets and the call that somebody waits for. */
import { totalmem } from "node:os";
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
