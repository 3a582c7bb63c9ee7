/**
 * A server that does nothing but speak the sync protocol: it answers every mutation at once with what the engine would say, so that what
 * clients, sockets and JSON take by themselves shows. Says `{url}`.
 */
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false }, () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
let time = BigInt(Date.now()) * 1_000_000n;
server.on("connection", (socket) => {
  let version = '{"querySet":0,"identity":0,"ts":"AAAAAAAAAAA="}';
  socket.on("message", (data) => {
    const message = JSON.parse((data as Buffer).toString()) as { type: string; requestId: number };
    if (message.type !== "Mutation") return;
    const ts = Buffer.alloc(8);
    ts.writeBigUInt64LE(++time);
    const text = ts.toString("base64");
    const end = `{"querySet":0,"identity":0,"ts":"${text}"}`;
    socket.send(
      `{"type":"MutationResponse","requestId":${message.requestId},"success":true,"result":true,"ts":"${text}","logLines":[]}`,
    );
    socket.send(
      `{"type":"Transition","startVersion":${version},"endVersion":${end},"modifications":[],"serverTs":${Number(time)}}`,
    );
    version = end;
  });
});
process.on("disconnect", () => process.exit(0));
