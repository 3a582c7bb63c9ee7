/** A process of its own that serves an engine until it is killed: `serving.ts DIR PORT [FUNCTIONS]`. Says "ready" when it listens. */
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { openEngine } from "../../../appliance/engine/engine.ts";

const [dir = "", port = "", functionsDir = join(import.meta.dirname, "app")] = process.argv.slice(2);
const origin = `http://127.0.0.1:${port}`;
const engine = await openEngine({
  dir,
  functionsDir,
  env: { TEST_JWKS: 'data:,{"keys":[]}' },
  adminKey: "nika|00",
  origin: () => origin,
  log: () => undefined,
});
const server = createServer((request, response) => void engine.handle(request, response));
server.on("upgrade", (request, socket: Socket, head) => void engine.upgrade(request, socket, head));
server.listen(Number(port), "127.0.0.1", () => console.log("ready"));
