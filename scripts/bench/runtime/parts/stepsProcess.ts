/** Runs of many steps in a process of their own: `stepsProcess.ts RUNS STEPS`. Says how many steps a second were on disk, and ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openEngine } from "../../../../appliance/engine/engine.ts";
import { openKeys } from "../../../../appliance/secrets/keys.ts";
import { openState } from "../../../../appliance/state.ts";
import { internal } from "../../../../convex/_generated/api.js";
import type { Ports } from "../../../../functions/define.ts";
import type { State } from "../../../../functions/ports/state.ts";
import { defineRun } from "../../../../functions/defineRun.ts";
import { advanceRuns } from "../../../../functions/runs/advance.ts";
import { startRuntime } from "../../../../functions/runtime/runtime.ts";

const [runs = 50, steps = 100] = process.argv.slice(2).map(Number);
const dir = mkdtempSync(join(tmpdir(), "bench-steps-"));
const keys = openKeys(dir);
const server = createServer();
let url = "";
const engine = await openEngine({
  dir: join(dir, "engine"),
  functionsDir: fileURLToPath(new URL("../../../../convex", import.meta.url)),
  env: { NIKA_JWKS: keys.jwksUrl },
  adminKey: keys.adminKey,
  origin: () => url,
  log: () => {},
});
server.on("request", (request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const state = openState({ url, adminKey: keys.adminKey, near: engine });

let ended = 0;
let expected = 0;
let onAll: () => void = () => undefined;
/** A run is over when the write that ends it is on disk. */
const counting: State = {
  ...state,
  async mutation(f, args) {
    const answer = await state.mutation(f, args);
    const { boundaries = [] } = args as { boundaries?: { next?: { type: string } }[] };
    ended += boundaries.filter(({ next }) => next?.type === "done").length;
    if (expected > 0 && ended === expected) onAll();
    return answer;
  },
};
const add = defineRun("bench", async ({ step }, times: number) => {
  let sum = 0;
  for (let i = 0; i < times; i += 1) sum = await step("add", () => sum + 1);
  return sum;
});
const runtime = startRuntime({
  state,
  ports: { state: counting } as Ports,
  functions: [advanceRuns([add], (line) => console.error(line))],
  workerName: "bench",
  slots: runs,
  log: (line) => console.error(line),
});
await runtime.start();
await together(Math.min(runs, 10), 20);
const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
await together(runs, steps);
const ms = performance.now() - startedAt;
const { user, system } = process.cpuUsage(cpu);
await runtime.stop({ graceMs: 10_000 });
await state.close();
server.close();
await engine.close();
rmSync(dir, { recursive: true, force: true });
const measured = { perSecond: ((runs * steps) / ms) * 1_000, cpuUs: (user + system) / (runs * steps) };
if (process.send) process.send(measured, () => process.exit());
else {
  console.log(JSON.stringify(measured));
  process.exit();
}

async function together(count: number, times: number): Promise<void> {
  const all = Promise.withResolvers<void>();
  [ended, expected, onAll] = [0, count, all.resolve];
  await Promise.all(
    Array.from({ length: count }, () => state.mutation(internal.runs.begin, { name: "bench", args: `${times}` })),
  );
  await all.promise;
}
