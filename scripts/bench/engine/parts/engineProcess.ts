/**
 * An engine in a process of its own, so that what is measured does not share a thread with who measures: `engineProcess.ts DIR APP`, or
 * `engineProcess.ts DIR -` for one that waits for a push. Says `{url}` once it listens, and answers `"stats"`, and
 * `"commit"` with when it last heard of one: that alone, because what collects garbage would be felt in what is measured next.
 */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { openDeployable } from "../../../../appliance/engine/deploy/deployable.ts";
import { engineAround } from "../../../../appliance/engine/engine.ts";
import { adminKey } from "./engineHost.ts";
import { openCore } from "../../../../appliance/engine/openCore.ts";

const [dir = "", functionsDir = ""] = process.argv.slice(2);
let url = "";
const options = { dir, adminKey, origin: () => url, log: () => undefined };
const core =
  functionsDir === "-"
    ? await openDeployable({ ...options, env: {} }, openCore)
    : await openCore({ ...options, functionsDir, env: {} });
// Before the engine's own listener, so it is the time at which the engine hears of it. The clock is one for all processes.
let committedAt = "0";
core.onCommit(() => (committedAt = String(process.hrtime.bigint())));
const engine = await engineAround(core, options);
const server = createServer((request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket: Socket, head) => void engine.upgrade(request, socket, head));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ url });
});
process.on("message", (message) => {
  if (message === "close") return void engine.close().then(() => process.exit(0));
  if (message === "commit") return void process.send?.({ committedAt });
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send?.({ ...engine.stats(), rss, heap: heapUsed + external });
});
process.on("disconnect", () => process.exit(0));
