/** Many sockets that hold subscriptions and do as little as a client can, so that the server's time shows and not theirs. */
import { WebSocket } from "ws";

export type Heard = (text: string) => void;

const atOnce = 100;

export async function connectAll(url: string, count: number, heard: Heard): Promise<readonly WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < count) {
    const wanted = Math.min(atOnce, count - sockets.length);
    const opened = Array.from({ length: wanted }, async () => {
      const socket = new WebSocket(url, { perMessageDeflate: false });
      await new Promise((done, fail) => socket.once("open", done).once("error", fail));
      socket.on("message", (data) => heard((data as Buffer).toString("latin1")));
      return socket;
    });
    sockets.push(...(await Promise.all(opened)));
  }
  return sockets;
}

export function subscribe(socket: WebSocket, slots: readonly number[]): void {
  const connect = { type: "Connect", sessionId: crypto.randomUUID(), connectionCount: 0, clientTs: 0 };
  const modifications = slots.map((slot, queryId) => ({ type: "Add", queryId, udfPath: "bench:get", args: [{ slot }] }));
  socket.send(JSON.stringify(connect));
  socket.send(JSON.stringify({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications }));
}

/** How many results a message brings. */
export function updatesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"QueryUpdated"'); at >= 0; at = text.indexOf('"QueryUpdated"', at + 1)) count++;
  return count;
}
