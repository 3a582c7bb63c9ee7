/**
 * A stand-in for a hosted gateway (one address for the tools of many services, with a sign-in of its own), written after what such gateways document: protected
 * resource metadata, registration by the client, PKCE, refresh tokens that turn over, rights that are asked for when they are needed. It runs here and
 * speaks MCP of 2025-11-25 by hand, so that every header that reaches it can be looked at.
 */
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type HostedGateway = {
  readonly url: string;
  readonly origin: string;
  /** Headers of every request at its MCP endpoint. */
  readonly heard: { readonly authorization: string | undefined; readonly all: string }[];
  /** Grants by refresh token that were honoured, and scopes that were asked for at sign-ins. */
  readonly refreshed: string[];
  readonly asked: (string | null)[];
  /** Access tokens given out so far are good no more. */
  expire(): void;
  /** Refresh tokens neither. */
  forgetEverybody(): void;
  close(): Promise<void>;
};

type Code = { readonly challenge: string; readonly clientId: string; readonly redirect: string; readonly scope: string };

const tools = [
  { name: "SEARCH_TOOLS", description: "Finds tools of many services.", inputSchema: { type: "object" } },
  { name: "EXECUTE_TOOL", description: "Runs one of them.", inputSchema: { type: "object" } },
];

export async function openHostedGateway(): Promise<HostedGateway> {
  const codes = new Map<string, Code>();
  const access = new Map<string, string>();
  const refresh = new Map<string, string>();
  const clients = new Map<string, readonly string[]>();
  const path = `/v3/${randomBytes(6).toString("hex")}/mcp`;
  const make = (): string => randomBytes(16).toString("base64url");
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const gateway: HostedGateway = {
    url: origin + path,
    origin,
    heard: [],
    refreshed: [],
    asked: [],
    expire: () => access.clear(),
    forgetEverybody() {
      access.clear();
      refresh.clear();
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", origin);
    const send = (status: number, body: object, headers: Record<string, string> = {}): void =>
      void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    if (url.pathname === path) return speak(request, body, send);
    if (url.pathname === `/.well-known/oauth-protected-resource${path}`)
      return send(200, { resource: origin + path, authorization_servers: [origin], scopes_supported: ["read"] });
    if (url.pathname === "/.well-known/oauth-authorization-server")
      return send(200, {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["none"],
        authorization_response_iss_parameter_supported: true,
      });
    if (url.pathname === "/register") {
      const id = make();
      const metadata = JSON.parse(body) as { redirect_uris: string[] };
      clients.set(id, metadata.redirect_uris);
      return send(201, { ...metadata, client_id: id });
    }
    if (url.pathname === "/authorize") {
      const asked = Object.fromEntries(url.searchParams);
      const {
        client_id: clientId = "",
        redirect_uri: redirect = "",
        code_challenge: challenge = "",
        state = "",
        resource,
      } = asked;
      if (clients.get(clientId)?.includes(redirect) !== true || resource !== origin + path)
        return send(400, { error: "invalid_request" });
      gateway.asked.push(url.searchParams.get("scope"));
      const code = make();
      codes.set(code, { challenge, clientId, redirect, scope: asked["scope"] ?? "read" });
      const back = new URL(redirect);
      for (const [name, value] of [
        ["code", code],
        ["state", state],
        ["iss", origin],
      ] as const)
        back.searchParams.set(name, value);
      return void response.writeHead(302, { location: back.href }).end();
    }
    if (url.pathname === "/token") return trade(new URLSearchParams(body), send);
    send(404, {});
  }

  function trade(form: URLSearchParams, send: (status: number, body: object) => void): void {
    const give = (scope: string): void => {
      const [token, next] = [make(), make()];
      access.set(token, scope);
      refresh.set(next, scope);
      send(200, { access_token: token, refresh_token: next, token_type: "Bearer", expires_in: 3600, scope });
    };
    const no = (): void => send(400, { error: "invalid_grant" });
    if (form.get("resource") !== origin + path) return no();
    if (form.get("grant_type") === "refresh_token") {
      const held = form.get("refresh_token") ?? "";
      const scope = refresh.get(held);
      if (scope === undefined) return no();
      // Good once.
      refresh.delete(held);
      gateway.refreshed.push(held);
      return give(scope);
    }
    const code = codes.get(form.get("code") ?? "");
    codes.delete(form.get("code") ?? "");
    const proof = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (
      !code ||
      code.challenge !== proof ||
      code.clientId !== form.get("client_id") ||
      code.redirect !== form.get("redirect_uri")
    )
      return no();
    give(code.scope);
  }

  function speak(
    { headers, method }: IncomingMessage,
    body: string,
    send: (status: number, body: object, headers?: Record<string, string>) => void,
  ): void {
    gateway.heard.push({ authorization: headers.authorization, all: JSON.stringify(headers) + body });
    const metadata = `resource_metadata="${origin}/.well-known/oauth-protected-resource${path}"`;
    const scope = access.get(headers.authorization?.replace(/^Bearer /, "") ?? "");
    if (scope === undefined) return send(401, {}, { "www-authenticate": `Bearer ${metadata}, scope="read"` });
    if (method !== "POST") return send(405, {});
    const { id, method: wanted, params } = JSON.parse(body) as { id?: number; method: string; params?: { name?: string } };
    if (id === undefined) return send(202, {});
    const reply = (result: object): void => send(200, { jsonrpc: "2.0", id, result });
    if (wanted === "initialize")
      return reply({ protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "hosted", version: "1" } });
    if (wanted === "tools/list") return reply({ tools });
    if (wanted !== "tools/call") return send(200, { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } });
    if (params?.name === "EXECUTE_TOOL" && !scope.split(" ").includes("act"))
      return send(403, {}, { "www-authenticate": `Bearer error="insufficient_scope", scope="act", ${metadata}` });
    reply({ content: [{ type: "text", text: `${params?.name} was run` }] });
  }
  return gateway;
}
