/** The service, played: it takes down what it is asked and answers what it is told to. Made from the same document as the server. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export type Seen = {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
};
export type Played = {
  readonly status: number;
  readonly mediaType: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};
export type Mock = {
  readonly url: string;
  /** What the next requests are answered. */
  play(answer: Played): void;
  /** What it was asked since the last look. */
  seen(): readonly Seen[];
  close(): Promise<void>;
};

/** Listens on a free port of this machine alone, below `prefix`. */
export async function openMock(prefix: string): Promise<Mock> {
  let answer: Played = { status: 200, mediaType: "", body: null };
  let asked: Seen[] = [];
  const server = createServer((request, response) => {
    void text(request.setEncoding("latin1")).then((body) => {
      const [path = "", query = ""] = (request.url ?? "").split("?", 2);
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const bytes = new Uint8Array(Buffer.from(body, "latin1"));
      asked.push({ method: request.method ?? "", path, query: [...new URLSearchParams(query)], headers, body: bytes });
      response.writeHead(answer.status, {
        ...(answer.mediaType !== "" && { "content-type": answer.mediaType }),
        ...answer.headers,
      });
      if (answer.mediaType === "") response.end();
      else
        response.end(
          typeof answer.body === "string" && answer.mediaType !== "application/json" ? answer.body : JSON.stringify(answer.body),
        );
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    play(next) {
      answer = next;
    },
    seen() {
      const last = asked;
      asked = [];
      return last;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
