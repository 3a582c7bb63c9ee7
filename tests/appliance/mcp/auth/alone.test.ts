import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from "jose";
import type { OAuthWish } from "../../../../convex/model/server.ts";
import { openAccount, type Account } from "../../../../appliance/mcp/auth/account.ts";
import { openGrants, type Grants } from "../../../../appliance/mcp/auth/grants.ts";
import { makeBoundKey } from "../../../../appliance/mcp/auth/proof.ts";
import { openReach } from "../../../../appliance/mcp/auth/reach.ts";

/** A server, its sign-in and a firm's sign-in at one address: what they were asked, and how. */
async function openElsewhere(context: TestContext) {
  const asked: URLSearchParams[] = [];
  const shown: IncomingMessage["headers"][] = [];
  const answers: { status: number; headers?: Record<string, string> }[] = [];
  const server = createServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const json = (body: object): void =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (path.startsWith("/.well-known/oauth-protected-resource"))
      return json({ resource: `${origin}/mcp`, authorization_servers: [origin] });
    if (path.startsWith("/.well-known/oauth-authorization-server"))
      return json({
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["none", "client_secret_basic"],
      });
    if (path === "/token" || path === "/firm") {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      return void request.on("end", () => {
        asked.push(new URLSearchParams(body));
        if (path === "/token") json({ access_token: "given", token_type: "Bearer", expires_in: 600 });
        else
          json({
            access_token: "the-firms-word",
            issued_token_type: "urn:ietf:params:oauth:token-type:id-jag",
            token_type: "N_A",
          });
      });
    }
    shown.push(request.headers);
    const { status, headers } = answers.shift() ?? { status: 200 };
    response.writeHead(status, headers).end();
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  context.after(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kept = new Map<string, string>();
  const grants = openGrants({
    find: (name) => Promise.resolve(kept.get(name)),
    set: (name, value) => Promise.resolve(void kept.set(name, value)),
    remove: (name) => Promise.resolve(void kept.delete(name)),
  });
  const url = `${origin}/mcp`;
  const account = (wish?: OAuthWish): Account =>
    openAccount({ server: "hub", url, wish, grants, reach: openReach(url), changed: () => undefined, now: () => Date.now() });
  return { origin, url, asked, shown, answers, kept, grants, account };
}

async function refusedOnce(account: Account, url: string): Promise<string | undefined> {
  const { authProvider } = account.connect();
  const response = new Response(null, { status: 401, headers: { "www-authenticate": "Bearer" } });
  await authProvider.onUnauthorized?.({ response, serverUrl: new URL(url) } as never);
  return authProvider.token();
}

test("a workload shows what its platform says of it, and nothing of that is kept", async (context) => {
  const { url, asked, kept, account } = await openElsewhere(context);
  const token = await refusedOnce(account({ grant: "workload", clientId: "job", assertion: "signed-by-the-platform" }), url);
  assert.equal(token, "given");
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
  assert.equal(asked[0]?.get("assertion"), "signed-by-the-platform");
  assert.equal(kept.size, 0);
});

test("whom the firm's sign-in knows gets in with its word, which is exchanged there and never shown to the server itself", async (context) => {
  const { origin, url, asked, shown, kept, account } = await openElsewhere(context);
  const wish = {
    grant: "enterprise",
    clientId: "nika",
    clientSecret: "s",
    idpTokenUrl: `${origin}/firm`,
    idpClientId: "firm",
    idToken: "who",
  } as const;
  assert.equal(await refusedOnce(account(wish), url), "given");
  const [exchange, bearer] = asked;
  assert.equal(exchange?.get("subject_token"), "who");
  assert.equal(exchange?.get("audience"), origin);
  assert.equal(bearer?.get("assertion"), "the-firms-word");
  assert.equal(shown.length, 0);
  assert.equal(kept.size, 0);
});

test("a token that is bound to a key goes with a proof of its own each time, by the same key after a restart", async (context) => {
  const { url, shown, answers, grants, account } = await openElsewhere(context);
  await keepBound(grants, url);
  answers.push({ status: 401, headers: { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n-1" } });
  const send = (by: Account): Promise<Response> =>
    by.connect().fetch(url, { method: "POST", headers: { authorization: "Bearer bound" } });
  assert.equal((await send(account())).status, 200);
  await send(account());
  assert.deepEqual(
    shown.map(({ authorization }) => authorization),
    ["DPoP bound", "DPoP bound", "DPoP bound"],
  );
  const proofs = await Promise.all(shown.map(({ dpop }) => jwtVerify(String(dpop), EmbeddedJWK, { typ: "dpop+jwt" })));
  assert.deepEqual(
    proofs.map(({ payload }) => [payload["htm"], payload["htu"], payload["nonce"]]),
    [
      ["POST", url, undefined],
      ["POST", url, "n-1"],
      ["POST", url, undefined],
    ],
  );
  assert.equal(new Set(proofs.map(({ payload }) => payload.jti)).size, 3);
  const keys = await Promise.all(
    shown.map(({ dpop }) => calculateJwkThumbprint(decodeProtectedHeader(String(dpop)).jwk ?? { kty: "EC" })),
  );
  const { boundKey } = await grants.find("hub", url);
  assert.deepEqual(new Set(keys), new Set([boundKey?.thumbprint]));
});

async function keepBound(grants: Grants, url: string): Promise<void> {
  const tokens = { access_token: "bound", token_type: "DPoP" };
  await grants.keep("hub", { url, clients: {}, tokens, givenAt: Date.now(), boundKey: await makeBoundKey() });
}
