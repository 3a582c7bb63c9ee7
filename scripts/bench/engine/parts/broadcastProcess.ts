/** A bare `ws` server that sends one text to all its sockets, which is as fast as fan-out with that library can be. */
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 }, () =>
  process.send?.({ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
server.on("connection", (socket) => socket.on("message", () => undefined));
process.on("message", (text: string) => {
  const startedAt = String(process.hrtime.bigint());
  const bytes = Buffer.from(text);
  for (const socket of server.clients) socket.send(bytes, { binary: false });
  process.send?.({ startedAt });
});
process.on("disconnect", () => process.exit(0));
