/** One request, to an address or a socket. */
import { createWriteStream } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";

export type Answer = { readonly status: number; readonly body: Buffer; readonly signature: string | undefined };
export type CallOptions = {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly timeoutMs?: number;
  /** Where the answer goes instead of memory. */
  readonly into?: string;
};

export function call(url: string, { method, headers = {}, body, timeoutMs = 30_000, into }: CallOptions): Promise<Answer> {
  return new Promise((done, failed) => {
    const [, socketPath, path] = /^unix:(.+?\.sock)(\/nika\/.*)$/.exec(url) ?? [];
    const isSecure = url.startsWith("https:");
    const options = {
      method,
      headers: { ...headers, ...(body && { "content-length": String(body.length) }) },
      timeout: timeoutMs,
    };
    const sent =
      socketPath === undefined || path === undefined
        ? (isSecure ? httpsRequest : httpRequest)(url, options)
        : httpRequest({ ...options, socketPath, path });
    sent.once("error", failed);
    sent.once("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.once("response", (response) => {
      const finish = (bytes: Buffer): void => {
        const signature = response.headers["x-nika-signature"];
        done({ status: response.statusCode ?? 0, body: bytes, signature: typeof signature === "string" ? signature : undefined });
      };
      if (into !== undefined && response.statusCode === 200)
        return void pipeline(response, createWriteStream(into)).then(() => finish(Buffer.alloc(0)), failed);
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.once("error", failed);
      response.once("end", () => finish(Buffer.concat(pieces)));
    });
    sent.end(body);
  });
}

/** Refused for good: nothing is gained by asking again. */
export class Refused extends Error {}
