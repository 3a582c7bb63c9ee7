/** Programs elsewhere sign in at Nika: the SDK's own client goes all the way, and what must not work does not. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientProvider,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import { openAuthPlace, openBrowser, type Place } from "./place.ts";

const place = await openAuthPlace({
  tools: [
    {
      name: "greet",
      title: "Greet",
      description: "Greets.",
      input: { type: "object", properties: {} },
      isReadOnly: true,
      call: () => Promise.resolve({ said: "hello" }),
    },
  ],
});
after(() => place.close());
const redirectUrl = "http://127.0.0.1:9/callback";

/** What a program keeps between the steps of its sign-in. */
function openProgram(name: string) {
  let information: StoredOAuthClientInformation | undefined;
  let tokens: StoredOAuthTokens | undefined;
  let verifier = "";
  let discovered: unknown;
  const kept = { at: new URL("http://nowhere"), tokens: () => tokens };
  const provider: OAuthClientProvider = {
    redirectUrl,
    clientMetadata: { client_name: name, redirect_uris: [redirectUrl] },
    state: () => "the state",
    clientInformation: () => information,
    saveClientInformation: (one) => {
      information = one;
    },
    tokens: () => tokens,
    saveTokens: (one) => {
      tokens = one;
    },
    redirectToAuthorization: (url) => {
      kept.at = url;
    },
    saveCodeVerifier: (one) => {
      verifier = one;
    },
    codeVerifier: () => verifier,
    saveDiscoveryState: (one) => {
      discovered = one;
    },
    discoveryState: () => discovered as never,
    invalidateCredentials: () => {
      tokens = undefined;
    },
  };
  return { provider, kept };
}

async function connect(provider: OAuthClientProvider, url = `${place.origin}/mcp`) {
  const client = new Client({ name: "t", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  await client.connect(transport);
  return client;
}

/** By hand, so that each step can be done wrongly. */
function byHand({ origin }: Pick<Place, "origin">) {
  const post = (path: string, body: Record<string, string> | string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${origin}${path}`, {
      method: "POST",
      redirect: "manual",
      headers: typeof body === "string" ? { "content-type": "application/json", ...headers } : headers,
      body: typeof body === "string" ? body : new URLSearchParams(body),
    });
  type Tokens = { access_token?: string; refresh_token?: string; error?: string; expires_in?: number };
  const token = async (body: Record<string, string>): Promise<Tokens> =>
    (await (await post("/oauth/token", body)).json()) as Tokens;
  const hand = {
    post,
    async register(redirects: readonly string[] = [redirectUrl]) {
      const response = await post("/oauth/register", JSON.stringify({ client_name: "hand", redirect_uris: redirects }));
      return { status: response.status, ...((await response.json()) as { client_id: string }) };
    },
    addressOf(clientId: string, more: Record<string, string> = {}) {
      const verifier = randomBytes(32).toString("base64url");
      const url = new URL(`${origin}/oauth/authorize`);
      const query = {
        response_type: "code",
        client_id: clientId,
        redirect_uri: redirectUrl,
        state: "s",
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256",
        resource: `${origin}/mcp`,
        ...more,
      };
      for (const [name, value] of Object.entries(query)) if (value !== "") url.searchParams.set(name, value);
      return { url: url.href, verifier };
    },
    exchange: (clientId: string, code: string, verifier: string, more: Record<string, string> = {}): Promise<Tokens> =>
      token({
        grant_type: "authorization_code",
        code,
        client_id: clientId,
        redirect_uri: redirectUrl,
        code_verifier: verifier,
        ...more,
      }),
    refresh: (clientId: string, held: string): Promise<Tokens> =>
      token({ grant_type: "refresh_token", refresh_token: held, client_id: clientId }),
    async mayCall(held: string): Promise<boolean> {
      const hello = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
      const headers = { authorization: `Bearer ${held}`, accept: "application/json, text/event-stream" };
      return (await post("/mcp", hello, headers)).status !== 401;
    },
    async signIn(browser: ReturnType<typeof openBrowser>) {
      const { client_id: clientId } = await hand.register();
      const { url, verifier } = hand.addressOf(clientId);
      const code = (await browser.allow(url)).searchParams.get("code") ?? "";
      return { clientId, tokens: await hand.exchange(clientId, code, verifier) };
    },
  };
  return hand;
}
const { post, register, addressOf, exchange, refresh, mayCall, signIn } = byHand(place);

test("the SDK's client finds the sign-in, registers, is allowed by the owner, and uses the tools; the owner sees it and takes it back", async () => {
  const { provider, kept } = openProgram("Reader");
  await assert.rejects(connect(provider), UnauthorizedError);
  const back = await openBrowser(place).allow(kept.at.href);
  assert.equal(back.origin + back.pathname, redirectUrl);
  assert.equal(back.searchParams.get("state"), "the state");
  assert.equal(back.searchParams.get("iss"), place.origin);
  const transport = new StreamableHTTPClientTransport(new URL(`${place.origin}/mcp`), { authProvider: provider });
  await transport.finishAuth(back.searchParams);
  const client = await connect(provider);
  assert.deepEqual((await client.callTool({ name: "greet", arguments: {} })).structuredContent, { said: "hello" });
  const file = readFileSync(join(place.dir, "mcp/clients.json"), "utf8");
  for (const secret of [kept.tokens()?.access_token, kept.tokens()?.refresh_token])
    assert.ok(secret !== undefined && !file.includes(secret), "a token stands on the disk");
  const { clients } = await place.ask<{ clients: { id: string; name: string; redirects: string[] }[] }>("clients");
  const one = clients.find(({ name }) => name === "Reader");
  const { refresh_token: held = "" } = kept.tokens() ?? {};
  assert.deepEqual(one?.redirects, [redirectUrl]);
  await place.ask("revoke", { id: one.id });
  await assert.rejects(client.callTool({ name: "greet", arguments: {} }));
  assert.ok(!(await mayCall(kept.tokens()?.access_token ?? "")));
  assert.equal((await refresh((await provider.clientInformation())?.client_id ?? "", held)).error, "invalid_grant");
});

test("whoever shows no token is told where to sign in, under the name that he used", async () => {
  const response = await fetch(`http://localhost:${place.port}/mcp`, { method: "POST" });
  assert.equal(response.status, 401);
  const metadata = /resource_metadata="([^"]+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1] ?? "";
  const said = (await (await fetch(metadata)).json()) as { resource: string; authorization_servers: string[] };
  assert.equal(said.resource, `http://localhost:${place.port}/mcp`);
  const [issuer = ""] = said.authorization_servers;
  const server = (await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json()) as Record<string, unknown>;
  assert.equal(server["issuer"], issuer);
  assert.deepEqual(server["code_challenge_methods_supported"], ["S256"]);
  assert.deepEqual(server["token_endpoint_auth_methods_supported"], ["none"]);
  for (const key of ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"])
    assert.ok(String(server[key]).startsWith(`${issuer}/oauth/`), key);
});

test("a code is good once, with its verifier, for who asked and where it was to go", async () => {
  const { client_id: clientId } = await register();
  const { client_id: other } = await register();
  const browser = openBrowser(place);
  const fresh = async (): Promise<{ code: string; verifier: string }> => {
    const { url, verifier } = addressOf(clientId);
    return { code: (await browser.allow(url)).searchParams.get("code") ?? "", verifier };
  };
  const first = await fresh();
  assert.equal((await exchange(clientId, first.code, randomBytes(32).toString("base64url"))).error, "invalid_grant");
  const second = await fresh();
  assert.equal((await exchange(other, second.code, second.verifier)).error, "invalid_grant");
  const third = await fresh();
  const bad = await exchange(clientId, third.code, third.verifier, { redirect_uri: "http://127.0.0.1:9/other" });
  assert.equal(bad.error, "invalid_grant");
  const { code, verifier } = await fresh();
  const tokens = await exchange(clientId, code, verifier);
  assert.ok(await mayCall(tokens.access_token ?? ""));
  // Somebody else has it too: nothing that came of it is good any more.
  assert.equal((await exchange(clientId, code, verifier)).error, "invalid_grant");
  assert.ok(!(await mayCall(tokens.access_token ?? "")));
});

test("a refresh token turns over, and its second use ends everything that came of the sign-in", async () => {
  const { clientId, tokens } = await signIn(openBrowser(place));
  assert.ok((tokens.expires_in ?? 0) <= 15 * 60);
  const next = await refresh(clientId, tokens.refresh_token ?? "");
  assert.ok(next.refresh_token !== undefined && next.refresh_token !== tokens.refresh_token);
  assert.ok(await mayCall(next.access_token ?? ""));
  assert.equal((await refresh(clientId, tokens.refresh_token ?? "")).error, "invalid_grant");
  assert.equal((await refresh(clientId, next.refresh_token)).error, "invalid_grant");
  assert.ok(!(await mayCall(next.access_token ?? "")));
});

test("an access token ends by itself within the quarter of an hour it is good for", async () => {
  const { tokens } = await signIn(openBrowser(place));
  assert.ok(await mayCall(tokens.access_token ?? ""));
  const later = Date.now() + 15 * 60_000 + 1_000;
  const clock = mock.method(Date, "now", () => later);
  const isGood = await mayCall(tokens.access_token ?? "").finally(() => clock.mock.restore());
  assert.ok(!isGood);
});

test("a program gives its tokens back, and they open nothing", async () => {
  const { clientId, tokens } = await signIn(openBrowser(place));
  await post("/oauth/revoke", { token: tokens.refresh_token ?? "", client_id: clientId });
  assert.equal((await refresh(clientId, tokens.refresh_token ?? "")).error, "invalid_grant");
  assert.ok(!(await mayCall(tokens.access_token ?? "")));
});

test("no browser is sent to where the program did not say it would be", async () => {
  const { client_id: clientId } = await register();
  for (const to of ["https://evil.example/", "http://127.0.0.1:9/callback/../x", "http://127.0.0.1.evil.example:9/callback"]) {
    const answer = await openBrowser(place).visit(addressOf(clientId, { redirect_uri: to }).url);
    assert.match(answer, /^400 .*redirect_uri/s, to);
  }
  for (const to of ["http://evil.example/callback", "javascript:alert(1)", "https://a.example/#x"])
    assert.equal((await register([to])).status, 400, to);
});

test("without PKCE by S256, for another address, or of another kind nothing is asked", async () => {
  const { client_id: clientId } = await register();
  for (const wrong of [
    { code_challenge: "", code_challenge_method: "" },
    { code_challenge_method: "plain" },
    { resource: "https://elsewhere.example/mcp" },
    { response_type: "token" },
  ]) {
    const back = new URL(await openBrowser(place).visit(addressOf(clientId, wrong).url));
    assert.ok(back.href.startsWith(redirectUrl), back.href);
    assert.ok(back.href.includes("error="), back.href);
    assert.ok(!back.href.includes("code="), back.href);
  }
});

test("only the owner answers, only in the browser that was asked, once", async () => {
  const { client_id: clientId } = await register();
  const [mine, theirs] = [openBrowser(place), openBrowser(place)];
  const uid = (await theirs.visit(addressOf(clientId).url)).split("/consent/")[1] ?? "";
  // A link that somebody sends to the owner: his browser was asked nothing.
  await assert.rejects(place.ask("consent", { uid, isAllowed: true }, { cookie: mine.cookie() }), { code: "missing" });
  // His page was asked something else meanwhile.
  await mine.visit(addressOf(clientId).url);
  await assert.rejects(place.ask("consent", { uid, isAllowed: true }, { cookie: mine.cookie() }), { code: "missing" });
  // A page elsewhere that posts with his cookies has no token of his.
  const forged = await post("/nika/mcp/consent", JSON.stringify({ uid, isAllowed: true }), { cookie: theirs.cookie() });
  assert.equal(forged.status, 401);
  const refusal = await openBrowser(place).allow(addressOf(clientId).url, false);
  assert.equal(refusal.searchParams.get("error"), "access_denied");
  // What he allowed once is asked again.
  const browser = openBrowser(place);
  await browser.allow(addressOf(clientId).url);
  assert.match(await browser.visit(addressOf(clientId).url), /consent/);
});

test("a refresh token outlives a restart; an access token of before does not", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-mcp-auth-"));
  const before = await openAuthPlace({ dir });
  const { clientId, tokens } = await byHand(before).signIn(openBrowser(before));
  await before.close();
  const again = await openAuthPlace({ dir, port: before.port });
  try {
    const hand = byHand(again);
    assert.ok(!(await hand.mayCall(tokens.access_token ?? "")));
    const next = await hand.refresh(clientId, tokens.refresh_token ?? "");
    assert.ok(await hand.mayCall(next.access_token ?? ""));
  } finally {
    await again.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
