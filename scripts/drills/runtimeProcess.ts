/**
 * A part of the runtime's kill drill, to be killed: `runtimeProcess.ts NAME DIR PORT [engine]`. With `engine` the control plane runs in it
 * too. Told where to die it does so the next time it comes there; told to be deaf it hears nothing of what it watches for so long.
 */
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openEngine, type Engine } from "../../appliance/engine/engine.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { openState } from "../../appliance/state.ts";
import { defineFunction, type Ports } from "../../functions/define.ts";
import type { State } from "../../functions/ports/state.ts";
import { startRuntime } from "../../functions/runtime/runtime.ts";

const [name = "", dir = "", port = "", hasEngine] = process.argv.slice(2);
const url = `http://127.0.0.1:${port}`;
const keys = openKeys(dir);
const engine = hasEngine === "engine" ? await serveEngine() : undefined;
const open = openState({ url, adminKey: keys.adminKey, near: engine });
/** By a clock that nobody sets. */
const now = (): number => Math.round(performance.timeOrigin + performance.now());
const note = (line: string): void => appendFileSync(join(dir, "ledger"), `${now()} ${name} ${line}\n`);

/** Where a worker may die: before or after the control plane has heard it, or in the middle of a run. */
export type Boundary = "claiming" | "claimed" | "settling" | "settled" | "beating" | "beaten" | "running";
export type Order = { readonly dieAt: Boundary } | { readonly deafMs: number };
let dieAt: Boundary | undefined;
let deafUntil = 0;
process.on("message", (order: Order) => {
  if ("dieAt" in order) dieAt = order.dieAt;
  else deafUntil = performance.now() + order.deafMs;
});
const at = (boundary: Boundary): void => {
  if (dieAt === boundary) process.kill(process.pid, "SIGKILL");
};

type Exchange = { readonly settle: readonly { readonly jobId: string; readonly outcome: { readonly type: string } }[] };
/** Notes each outcome that the control plane says it has recorded. */
const state: State = {
  ...open,
  watch: (f, args, onResult, onError) =>
    open.watch(
      f,
      args,
      (result) => {
        if (performance.now() >= deafUntil) onResult(result);
      },
      onError,
    ),
  async mutation(f, args) {
    const { settle, claim, running } = args as { settle?: unknown[]; claim?: { jobIds: unknown[] }; running?: unknown };
    if (claim && claim.jobIds.length > 0) at("claiming");
    if (settle && settle.length > 0) at("settling");
    if (running) at("beating");
    const answer = await open.mutation(f, args);
    if (claim && claim.jobIds.length > 0) at("claimed");
    if (settle && settle.length > 0) at("settled");
    if (running) at("beaten");
    const { settled } = (answer ?? {}) as { settled?: boolean[] };
    for (const [i, { jobId, outcome }] of ((args as Partial<Exchange>).settle ?? []).entries())
      if (settled?.[i] === true && outcome.type === "done") note(`done ${jobId}`);
    return answer;
  },
};
const check = defineFunction({
  kind: "jobs.check",
  needs: [],
  run: async ({ jobId, args }) => {
    note(`start ${jobId}`);
    at("running");
    // Some are long enough to be met by a kill.
    await delay(args.n % 40 === 0 ? 1_500 : args.n % 40);
    return { type: "done" };
  },
});
const runtime = startRuntime({ state, ports: {} as Ports, functions: [check], workerName: name, slots: 4, log: () => {} });
await runtime.start();
process.send?.("ready");
// The drill is over, however it ended.
process.once("disconnect", () => process.exit());

async function serveEngine(): Promise<Engine> {
  const server = createServer();
  const opened = await openEngine({
    dir: join(dir, "engine"),
    functionsDir: fileURLToPath(new URL("../../convex", import.meta.url)),
    env: { NIKA_JWKS: keys.jwksUrl },
    adminKey: keys.adminKey,
    origin: () => url,
    log: () => {},
  });
  server.on("request", (request, response) => void opened.handle(request, response));
  server.on("upgrade", (request, socket, head) => void opened.upgrade(request, socket, head));
  await new Promise<void>((done) => server.listen(Number(port), "127.0.0.1", done));
  return opened;
}
