/**
 * Registries of others, on a port of this machine: the official one's read API with its cursors and moods, and npm's, with packages made here.
 * They speak the wire as documented; nothing behind them is real.
 */
import { createHash, generateKeyPairSync, createSign, type KeyObject } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";

export type StandIn = { readonly url: string; readonly asked: string[]; close(): Promise<void> };
type Answer = (url: URL, request: IncomingMessage, response: ServerResponse) => unknown;

/** What `answer` returns is sent as JSON, unless it answered itself. */
export async function openStandIn(answer: Answer): Promise<StandIn> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    asked.push(`${url.pathname}${url.search}`);
    const said = answer(url, request, response);
    if (said === undefined || response.writableEnded || response.destroyed) return;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close() {
      server.closeAllConnections();
      return new Promise<void>((done) => {
        server.close(() => done());
      });
    },
  };
}

export type Published = {
  readonly server: Readonly<Record<string, unknown>>;
  readonly status?: string;
  readonly updatedAt: string;
};

const officialKey = "io.modelcontextprotocol.registry/official";

/** The official read API over `servers`, which the test may change. `mood` spoils one answer. */
export function officialRegistry(
  servers: Published[],
  mood: (asked: number, response: ServerResponse) => boolean = () => false,
): Answer {
  let asked = 0;
  return (url, _request, response) => {
    if (mood(++asked, response)) return undefined;
    const item = ({ server, status = "active", updatedAt }: Published): object => ({
      server,
      _meta: { [officialKey]: { status, publishedAt: updatedAt, updatedAt, isLatest: true } },
    });
    const [, , name, , version] = url.pathname.slice(1).split("/");
    if (name !== undefined) {
      const wanted = decodeURIComponent(name);
      const found = servers.find(
        ({ server }) => server["name"] === wanted && [server["version"], "latest", undefined].includes(version),
      );
      if (!found) return void response.writeHead(404).end("{}");
      return item(found);
    }
    const query = url.searchParams;
    const limit = Number(query.get("limit") ?? 30);
    const since = Date.parse(query.get("updated_since") ?? "1970-01-01T00:00:00Z");
    const search = query.get("search") ?? "";
    const cursor = query.get("cursor") ?? "";
    if (cursor !== "" && !servers.some(({ server }) => server["name"] === cursor)) return void response.writeHead(400).end("{}");
    const all = servers
      .filter(
        ({ server, status, updatedAt }) =>
          String(server["name"]).includes(search) &&
          Date.parse(updatedAt) >= since &&
          (status !== "deleted" || query.get("include_deleted") === "true"),
      )
      .toSorted((left, right) => (String(left.server["name"]) < String(right.server["name"]) ? -1 : 1));
    const rest = all.filter(({ server }) => String(server["name"]) > cursor);
    const page = rest.slice(0, limit);
    return {
      servers: page.map(item),
      metadata: { count: page.length, ...(rest.length > page.length && { nextCursor: String(page.at(-1)?.server["name"]) }) },
    };
  };
}

// --- npm

export type NpmPackage = {
  readonly name: string;
  readonly version: string;
  readonly files: Readonly<Record<string, string>>;
  /** Beyond name and version, of its package.json. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly publishedAt?: string;
  readonly publisher?: string;
  /** The file that is sent is not the one that was published. */
  readonly isTampered?: boolean;
  readonly signature?: "none" | "wrong";
};

export type NpmKeys = { readonly keyid: string; readonly privateKey: KeyObject; readonly spki: string };
export function makeNpmKeys(): NpmKeys {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  return { keyid: `SHA256:${createHash("sha256").update(spki).digest("base64")}`, privateKey, spki };
}

/** npm's registry over `packages`, which the test may change; signed where there are keys. */
export function npmRegistry(packages: NpmPackage[], origin: () => string, keys?: NpmKeys): Answer {
  const made = new Map<NpmPackage, Buffer>();
  const tarballs = async (one: NpmPackage): Promise<Buffer> => {
    const known = made.get(one);
    if (known) return known;
    const { name, version, files, more } = one;
    const all = { "package.json": JSON.stringify({ name, version, ...more }), ...files };
    const tar = await packTar(
      Object.entries(all).map(([path, body]) => ({
        header: { name: `package/${path}`, size: Buffer.byteLength(body), type: "file" as const, mode: 0o644 },
        body,
      })),
    );
    const bytes = gzipSync(tar);
    made.set(one, bytes);
    return bytes;
  };
  const integrityOf = async (one: NpmPackage): Promise<string> =>
    `sha512-${createHash("sha512")
      .update(await tarballs(one))
      .digest("base64")}`;

  async function packument(name: string): Promise<object | undefined> {
    const all = packages.filter((one) => one.name === name);
    if (all.length === 0) return undefined;
    const versions = await Promise.all(
      all.map(async (one) => {
        const integrity = await integrityOf(one);
        const text = `${name}@${one.version}:${one.signature === "wrong" ? "sha512-else" : integrity}`;
        const manifest = {
          name,
          version: one.version,
          ...one.more,
          ...(one.publisher !== undefined && { _npmUser: { name: one.publisher } }),
          dist: {
            integrity,
            tarball: `${origin()}/${name}/-/${one.version}.tgz`,
            ...(keys &&
              one.signature !== "none" && {
                signatures: [{ keyid: keys.keyid, sig: createSign("sha256").update(text).sign(keys.privateKey, "base64") }],
              }),
          },
        };
        return [one.version, manifest] as const;
      }),
    );
    const times = all.map(({ version, publishedAt = "2025-01-01T00:00:00.000Z" }) => [version, publishedAt] as const);
    return {
      name,
      "dist-tags": { latest: all.at(-1)?.version },
      maintainers: [{ name: "maker", email: "m@example.com" }],
      time: { created: times[0]?.[1], modified: times.at(-1)?.[1], ...Object.fromEntries(times) },
      versions: Object.fromEntries(versions),
    };
  }

  return (url, _request, response) => {
    const path = decodeURIComponent(url.pathname.slice(1));
    const end = (status: number, body: string | Buffer): void =>
      void response
        .writeHead(status, { "content-type": typeof body === "string" ? "application/json" : "application/octet-stream" })
        .end(body);
    if (path === "-/npm/v1/keys")
      return keys
        ? {
            keys: [
              { keyid: keys.keyid, keytype: "ecdsa-sha2-nistp256", scheme: "ecdsa-sha2-nistp256", key: keys.spki, expires: null },
            ],
          }
        : end(404, "{}");
    const [name = "", file] = path.split("/-/");
    void (async () => {
      if (file === undefined) {
        const found = await packument(name);
        return found ? end(200, JSON.stringify(found)) : end(404, JSON.stringify({ error: "Not found" }));
      }
      const one = packages.find((each) => each.name === name && `${each.version}.tgz` === file);
      if (!one) return end(404, "{}");
      const bytes = await tarballs(one);
      return end(200, one.isTampered === true ? gzipSync(Buffer.concat([bytes, Buffer.from("x")])) : bytes);
    })();
    return undefined;
  };
}

/** A server of plain JavaScript, for a package: offers what it is given, and says of itself what it sees. */
export const serverCode = (tools: readonly object[]): string => `#!/usr/bin/env node
const tools = ${JSON.stringify(tools)};
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
let rest = "";
process.stdin.on("data", (piece) => {
  const lines = (rest + piece).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    const { id, method, params } = JSON.parse(line);
    if (method === "initialize") say({ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "made", version: "1" } } });
    else if (method === "tools/list") say({ id, result: { tools } });
    else if (method === "tools/call") say({ id, result: { content: [{ type: "text", text: JSON.stringify({ argv: process.argv.slice(2), env: process.env, name: params.name }) }] } });
    else if (id !== undefined) say({ id, error: { code: -32601, message: "no" } });
  }
});
`;
