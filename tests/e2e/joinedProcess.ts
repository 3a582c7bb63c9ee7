/**
 * A part of a Nika on several machines, to be cut off: `joinedProcess.ts appliance DIR PORT` holds the control plane and works itself,
 * `joinedProcess.ts worker DIR URL SECRET` joins it. What runs and what is logged goes to the ledger in DIR.
 */
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../appliance/config.ts";
import { openEngine } from "../../appliance/engine/engine.ts";
import { openDoor } from "../../appliance/join/door.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { openState } from "../../appliance/state.ts";
import { startWorker } from "../../appliance/worker.ts";
import { defineFunction, type Ports } from "../../functions/define.ts";
import { startRuntime } from "../../functions/runtime/runtime.ts";

const [role = "", dir = "", at = "", secret = ""] = process.argv.slice(2);
let name = role;
const note = (line: string): void => appendFileSync(join(dir, "ledger"), `${Date.now()} ${name} ${line}\n`);
const log = (line: string): void => note(`log ${line.split("\n", 1)[0]}`);
const check = defineFunction({
  kind: "jobs.check",
  needs: [],
  // As long as it says, and deaf: a run that is cut off still reports.
  run: async ({ jobId, args }) => {
    note(`start ${jobId}`);
    await delay(args.n);
    note(`end ${jobId}`);
    return { type: "done" };
  },
});
const { version } = loadConfig({ dataDir: dir });

if (role === "appliance") {
  const keys = openKeys(dir);
  const server = createServer();
  const engine = await openEngine({
    dir: join(dir, "engine"),
    functionsDir: fileURLToPath(new URL("../../convex", import.meta.url)),
    env: { NIKA_JWKS: keys.jwksUrl },
    adminKey: keys.adminKey,
    origin: () => `http://127.0.0.1:${at}`,
    log: () => {},
  });
  const state = openState({ url: `http://127.0.0.1:${at}`, adminKey: keys.adminKey, near: engine });
  server.on("request", (request, response) => {
    if (request.url !== "/nika/worker") return void engine.handle(request, response);
    // Whichever address it came by is the one by which it reaches the control plane.
    const convexUrl = `http://${request.headers.host}`;
    const { enter } = openDoor({
      state,
      signing: keys.signing,
      version,
      convexUrl,
      embedderId: async () => "none",
      now: () => Date.now(),
    });
    void enter((request.headers.authorization ?? "").slice("Bearer ".length)).then(
      (ticket) => response.end(JSON.stringify(ticket)),
      (error: { code: string; message: string }) =>
        response.writeHead(401).end(JSON.stringify({ code: error.code, message: error.message })),
    );
  });
  server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
  await new Promise<void>((done) => server.listen(Number(at), "0.0.0.0", done));
  const runtime = startRuntime({
    state,
    ports: {} as Ports,
    functions: [check],
    workerName: "appliance",
    slots: 2,
    about: { host: "here", version },
    log,
  });
  await runtime.start();
} else {
  const config = { ...loadConfig({ dataDir: dir }), slots: 2, isPolite: false };
  const worker = await startWorker({ url: at, secret, config, log, functions: [check] });
  name = worker.name;
  worker.ended.catch((error: Error) => note(`sent away: ${error.message}`));
  process.on("SIGTERM", () => void worker.stop(5_000).then(() => process.exit()));
}
process.send?.("ready");
process.once("disconnect", () => process.exit());
