/**
 * A part of the drill of runs, to be killed: `runsProcess.ts DIR PORT`. The control plane, a worker and runs whose effects are lines in a
 * file, as if that were the world.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openEngine } from "../../appliance/engine/engine.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { openState } from "../../appliance/state.ts";
import type { Ports } from "../../functions/define.ts";
import { defineRun, type Effect, type RunContext } from "../../functions/defineRun.ts";
import { advanceRuns } from "../../functions/runs/advance.ts";
import { startRuntime } from "../../functions/runtime/runtime.ts";

const [dir = "", port = ""] = process.argv.slice(2);
const url = `http://127.0.0.1:${port}`;
const keys = openKeys(dir);
const world = join(dir, "world");
const happened = (sort: string, key: string): boolean => readFileSync(world, "utf8").includes(`${sort} ${key}\n`);

const effects: Readonly<Record<string, Effect<string>>> = {
  keyed: "idempotent",
  seen: { look: async (key) => (happened("seen", key) ? { value: key } : undefined) },
  blind: "ambiguous",
};

/** Does it to the world, slowly enough to be met by a kill before or after. */
const send = (run: RunContext, sort: string): Promise<string> =>
  run.step(
    sort,
    async ({ key }) => {
      await delay(Math.random() * 40);
      if (sort !== "keyed" || !happened(sort, key)) appendFileSync(world, `${sort} ${key}\n`);
      await delay(Math.random() * 40);
      return key;
    },
    { effect: effects[sort] as Effect<string> },
  );

const drill = defineRun("drill", async (run, { depth, turn }: { depth: number; turn: number }) => {
  const first = await run.step("first", async () => delay(Math.random() * 10, 1));
  const { told, under, sent } = await run.parallel({
    sent: async (one) => {
      // Each class is the first in a third of the runs, and so the likeliest to be met.
      const sorts = Object.keys(effects);
      for (const i of sorts.keys()) await send(one, sorts[(i + turn) % sorts.length] as string);
      return sorts.length;
    },
    slept: (one) => one.sleep("nap", 100),
    told: async (one) => (await one.waitSignal("go", undefined, 60_000))?.body,
    under: (one) => (depth > 0 ? one.spawn<number>("drill", { depth: depth - 1, turn }) : one.step("leaf", () => 1)),
  });
  let sum = first + under + sent;
  for (let i = 0; i < 5; i += 1) sum = await run.step("add", () => sum + 1, { input: sum });
  return told === "go" ? sum : -1;
});

const server = createServer();
const engine = await openEngine({
  dir: join(dir, "engine"),
  functionsDir: fileURLToPath(new URL("../../convex", import.meta.url)),
  env: { NIKA_JWKS: keys.jwksUrl },
  adminKey: keys.adminKey,
  origin: () => url,
  log: () => {},
});
server.on("request", (request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
await new Promise<void>((done) => server.listen(Number(port), "127.0.0.1", done));
const state = openState({ url, adminKey: keys.adminKey, near: engine });
const runtime = startRuntime({
  state,
  ports: { state } as unknown as Ports,
  functions: [advanceRuns([drill], (line) => console.error(line))],
  workerName: "appliance",
  slots: 8,
  log: () => {},
});
await runtime.start();
process.send?.("ready");
// The drill is over, however it ended.
process.once("disconnect", () => process.exit());
