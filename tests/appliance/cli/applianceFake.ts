/** The appliance's own few routes, small and true to their contract, without a control plane behind them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Answer } from "../../../convex/model/answer.ts";

const adminKey = "nika|feedface";
const token = "an.owner.token";

export type ApplianceFake = AsyncDisposable & {
  readonly dataDir: string;
  readonly url: string;
  /** What was asked, in order. */
  readonly asked: { question: string; limit: number }[];
};

/** `answer` makes the reply to a question, or throws `{status, body}`. */
export async function openApplianceFake(
  answer: (question: string) => Answer | { status: number; body: string },
): Promise<ApplianceFake> {
  const asked: { question: string; limit: number }[] = [];
  const server = createServer((request, response) => {
    const reply = (status: number, body: unknown): void => {
      response
        .writeHead(status, { "content-type": "application/json" })
        .end(typeof body === "string" ? body : JSON.stringify(body));
    };
    const isAdmin = request.headers.authorization === `Convex ${adminKey}`;
    const denied = { code: "denied", message: "Only the owner may." };
    void readBody(request).then((body) => {
      switch (`${request.method} ${request.url}`) {
        case "GET /nika/health":
          return reply(200, { status: "ok", version: "0.0.0", pid: process.pid });
        case "POST /nika/token":
          return isAdmin ? reply(200, { token, expiresAt: Date.now() + 3_600_000 }) : reply(401, denied);
        case "POST /nika/links":
          return isAdmin ? reply(200, { url: `${url}/#link=once`, expiresAt: Date.now() + 600_000 }) : reply(401, denied);
        case "POST /nika/ask": {
          if (request.headers.authorization !== `Bearer ${token}`) return reply(401, denied);
          const question = JSON.parse(body) as { question: string; limit: number };
          asked.push(question);
          const made = answer(question.question);
          return "status" in made ? reply(made.status, made.body) : reply(200, made);
        }
        default:
          return reply(404, { code: "missing", message: "There is nothing here." });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const dataDir = mkdtempSync(join(tmpdir(), "nika-fake-"));
  mkdirSync(join(dataDir, "keys"));
  writeFileSync(join(dataDir, "keys", "admin.key"), `${adminKey}\n`);
  writeFileSync(
    join(dataDir, "run.json"),
    JSON.stringify({ pid: process.pid, port, url, version: "0.0.0", startedAt: Date.now() }),
  );
  return {
    dataDir,
    url,
    asked,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve).closeAllConnections());
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
