/** MCP as the appliance opens it, on a socket of its own, with its sign-ins: a Nika that others sign in to, or that signs in elsewhere. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMcp, type Mcp, type McpOptions } from "../../../../appliance/mcp/mcp.ts";
import { toNikaError } from "../../../../convex/model/error.ts";
import { openFakeState } from "../../../fakes/state.ts";

export const owner = "the-owners-own-token";

export type Place = {
  readonly dir: string;
  readonly origin: string;
  readonly port: number;
  readonly mcp: Mcp;
  /** What the secret store holds. */
  readonly secrets: Map<string, string>;
  readonly logged: string[];
  /** As the owner's page or command line does. */
  ask<T = Record<string, unknown>>(verb: string, body?: object, headers?: Record<string, string>): Promise<T>;
  close(): Promise<void>;
};

const statuses: Readonly<Record<string, number>> = { denied: 401, missing: 404, invalid: 400 };

export async function openAuthPlace(
  wish: { readonly servers?: object; readonly tools?: McpOptions["tools"]; readonly dir?: string; readonly port?: number } = {},
): Promise<Place> {
  const dir = wish.dir ?? mkdtempSync(join(tmpdir(), "nika-mcp-auth-"));
  writeFileSync(join(dir, "mcp-servers.json"), JSON.stringify(wish.servers ?? {}));
  const secrets = new Map<string, string>();
  const logged: string[] = [];
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body));
    const readJson = async (): Promise<Record<string, unknown>> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    };
    const route = mcp.routes.find((request.url ?? "").split("?", 1)[0] ?? "");
    if (!route) return send(404, {});
    route(request, response, { isOwner: (token) => token === owner, readJson, send }).catch((thrown: unknown) => {
      const { code, message } = toNikaError(thrown);
      if (!response.headersSent) send(statuses[code] ?? 500, { code, message });
    });
  });
  await new Promise<void>((done) => {
    server.listen(wish.port ?? 0, "127.0.0.1", done);
  });
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const mcp = openMcp({
    dataDir: dir,
    sharedFile: join(dir, "none.json"),
    version: "0",
    state: openFakeState(),
    sandboxes: undefined,
    secrets: {
      find: (name) => Promise.resolve(secrets.get(name)),
      set: (name, value) => Promise.resolve(void secrets.set(name, value)),
      remove: (name) => Promise.resolve(void secrets.delete(name)),
      renew: (name, renew) => renew(secrets.get(name) ?? ""),
    },
    address: { origin, port, publicUrl: undefined },
    cookieKey: "0".repeat(64),
    variables: {},
    tools: wish.tools ?? [],
    resources: [],
    prompts: [],
    log: (line) => void logged.push(line),
  });
  return {
    dir,
    origin,
    port,
    mcp,
    secrets,
    logged,
    async ask(verb, body = {}, headers = {}) {
      const response = await fetch(`${origin}/nika/mcp/${verb}`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { authorization: `Bearer ${owner}`, "content-type": "application/json", ...headers },
      });
      const answer = (await response.json()) as { code?: string; message?: string };
      if (!response.ok) throw Object.assign(new Error(answer.message), { code: answer.code });
      return answer as never;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await mcp.close();
      if (wish.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The owner's browser: it keeps cookies, follows redirects to Nika, and answers what it is asked. */
export function openBrowser(place: Place) {
  const jar = new Map<string, string>();
  const cookie = (): string => [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  return {
    cookie,
    /** One step: where it is sent next. */
    async visit(url: string): Promise<string> {
      const response = await fetch(url, { redirect: "manual", headers: { cookie: cookie() } });
      for (const line of response.headers.getSetCookie()) {
        const [name = "", value = ""] = (line.split(";", 1)[0] ?? "").split(/=(.*)/s);
        if (value === "") jar.delete(name);
        else jar.set(name, value);
      }
      const location = response.headers.get("location");
      return location === null ? `${response.status} ${await response.text()}` : new URL(location, url).href;
    },
    /** The whole way from a program's address to where it sends the browser back. */
    async allow(url: string, isAllowed = true): Promise<URL> {
      const asked = await this.visit(url);
      const uid = asked.split("/consent/")[1];
      if (uid === undefined) throw new Error(`Nothing was asked: ${asked}`);
      const { url: onward } = await place.ask<{ url: string }>("consent", { uid, isAllowed }, { cookie: cookie() });
      return new URL(await this.visit(onward));
    },
  };
}
