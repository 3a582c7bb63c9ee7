/** A bare WebSocket that speaks the protocol as a test dictates, right or wrong. */
import { WebSocket } from "ws";
import { collector } from "../served.ts";

export type Said = { readonly type: string } & Readonly<Record<string, unknown>>;
export type Bare = AsyncDisposable & {
  readonly said: Said[];
  send(message: unknown): void;
  sendRaw(data: string | Buffer): void;
  until(isGood: (message: Said) => boolean): Promise<Said>;
  readonly closed: Promise<{ code: number; reason: string }>;
};

export async function bare(url: string): Promise<Bare> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/api/1.48.0/sync`);
  const said = collector<Said>();
  socket.on("message", (data) => said.push(JSON.parse((data as Buffer).toString()) as Said));
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  return {
    said: said.seen,
    send: (message) => socket.send(JSON.stringify(message)),
    sendRaw: (data) => socket.send(data),
    until: (isGood) => said.until(isGood),
    closed,
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await closed;
    },
  };
}

export const hello = { type: "Connect", sessionId: "00000000-0000-4000-8000-000000000000", connectionCount: 0, clientTs: 0 };

export const adding = (queryId: number, udfPath: string, args: unknown = {}): object => ({
  type: "ModifyQuerySet",
  baseVersion: queryId,
  newVersion: queryId + 1,
  modifications: [{ type: "Add", queryId, udfPath, args: [args] }],
});
