import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { build, planFor } from "../../../../appliance/mcp/build/build.ts";
import { signIn, wayIn, type Grant, type Way } from "../../../../appliance/mcp/build/grant.ts";
import { toHanded } from "../../../../appliance/mcp/build/source.ts";
import { openMock } from "../../../../appliance/mcp/build/template/tests/mock.ts";
import { openTokens } from "../../../../appliance/mcp/build/tokens.ts";
import { isNikaError } from "../../../../convex/model/error.ts";
import { openMcpPlace } from "../place.ts";
import { kennel } from "./documents.ts";

/** A sign-in server that checks PKCE and turns its refresh tokens. */
async function openLogin() {
  let challenge = "";
  let count = 0;
  let isDown = false;
  const asked: Record<string, string>[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const form = Object.fromEntries(new URLSearchParams(body));
      asked.push(form);
      const isCode = form["grant_type"] === "authorization_code";
      const proof = createHash("sha256")
        .update(form["code_verifier"] ?? "")
        .digest("base64url");
      const isGood = isCode ? form["code"] === "the-code" && proof === challenge : form["refresh_token"] === `refresh-${count}`;
      if (isGood && !isDown) count += 1;
      response.writeHead(isDown ? 503 : isGood ? 200 : 400, { "content-type": "application/json" });
      response.end(
        JSON.stringify(
          isGood && !isDown
            ? { access_token: `access-${count}`, token_type: "Bearer", expires_in: 100, refresh_token: `refresh-${count}` }
            : { error: isDown ? "temporarily_unavailable" : "invalid_grant" },
        ),
      );
    });
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    way: {
      secret: "dogs.signed_in",
      authorizationUrl: `${url}/authorize`,
      tokenUrl: `${url}/token`,
      scopes: ["dogs:write"],
    } satisfies Way,
    asked,
    expect(next: string) {
      challenge = next;
    },
    down(is: boolean) {
      isDown = is;
    },
    close: () => server.close(),
  };
}

/** A browser that says yes. */
async function signedIn({ way, expect }: Pick<Awaited<ReturnType<typeof openLogin>>, "way" | "expect">, now = 0): Promise<Grant> {
  const { promise: came, resolve } = Promise.withResolvers<string>();
  const grant = signIn({
    way,
    client: { client_id: "nika-test" },
    port: 0,
    show: (url) => resolve(url),
    now: () => now,
    signal: AbortSignal.timeout(10_000),
  });
  const page = new URL(await came);
  expect(page.searchParams.get("code_challenge") ?? "");
  const back = new URL(page.searchParams.get("redirect_uri") ?? "");
  assert.equal(page.searchParams.get("code_challenge_method"), "S256");
  assert.equal(page.searchParams.get("scope"), "dogs:write");
  assert.equal(back.hostname, "127.0.0.1");
  // Who does not know the state is nobody.
  assert.equal((await fetch(`${back.href}?code=evil&state=guess`)).status, 404);
  await fetch(`${back.href}?code=the-code&state=${page.searchParams.get("state")}`);
  return grant;
}

function storeOf(values: Map<string, string>) {
  return {
    find: (name: string) => Promise.resolve(values.get(name)),
    async renew(name: string, renew: (value: string) => Promise<string>) {
      const value = await renew(values.get(name) ?? "");
      values.set(name, value);
      return value;
    },
  };
}

test("the owner signs in with PKCE, and a server is handed the access token alone, renewed before it ends", async () => {
  const login = await openLogin();
  try {
    const grant = await signedIn(login);
    assert.equal(grant.tokens.refresh_token, "refresh-1");
    const values = new Map([
      ["dogs.signed_in", JSON.stringify(grant)],
      ["dogs.key", "plain"],
    ]);
    let at = 0;
    const tokens = openTokens({ secrets: storeOf(values), now: () => at });
    assert.equal(await tokens.find("dogs.key", "mcp dogs"), "plain");
    assert.equal(await tokens.find("dogs.signed_in", "mcp dogs"), "access-1");
    assert.equal(tokens.staleAt("dogs"), 80_000);
    at = 85_000;
    assert.equal(await tokens.find("dogs.signed_in", "mcp dogs"), "access-2");
    assert.equal(tokens.staleAt("dogs"), 165_000);
    assert.match(values.get("dogs.signed_in") ?? "", /refresh-2/u);
    // Down for a while: what is still good is used.
    login.down(true);
    at = 170_000;
    assert.equal(await tokens.find("dogs.signed_in", "mcp dogs"), "access-2");
    at = 190_000;
    await assert.rejects(
      tokens.find("dogs.signed_in", "mcp dogs"),
      (error) => isNikaError(error) && error.code === "unavailable",
    );
    login.down(false);
    values.set("dogs.signed_in", (values.get("dogs.signed_in") ?? "").replace("refresh-2", "stolen"));
    await assert.rejects(
      tokens.find("dogs.signed_in", "mcp dogs"),
      (error) => isNikaError(error) && error.code === "denied" && /sign in again with `nika mcp grant dogs`/u.test(error.message),
    );
  } finally {
    login.close();
  }
});

test("a server that runs is started anew with a fresh token when the one it was given ends", async () => {
  const login = await openLogin();
  const mock = await openMock("/v2");
  const values = new Map([["dogs.signed_in", JSON.stringify(await signedIn(login))]]);
  let at = 0;
  const tokens = openTokens({ secrets: storeOf(values), now: () => at });
  const place = await openMcpPlace({
    launch: { secret: tokens.find },
    pool: { staleAt: (server) => ((tokens.staleAt(server) ?? Infinity) <= at ? 0 : undefined) },
  });
  try {
    const plan = await planFor(toHanded(kennel, "test"), { name: "dogs", server: mock.url });
    const signal = new AbortController().signal;
    const options = {
      dataDir: place.dir,
      sharedFile: "",
      withSkill: false,
      isReplacing: false,
      sandboxes: undefined,
      step: () => undefined,
      signal,
    };
    assert.ok((await build(plan, options)).declaredIn);
    await place.reload();
    await place.allowBare("dogs");
    await place.pool.refresh("dogs", signal);
    place.approve("dogs");
    const add = async (): Promise<string | undefined> => {
      mock.play({ status: 201, mediaType: "application/json", body: {} });
      await place.gateway.call("mcp_dogs__add_dog", { body: { name: "Rex" } }, { principal: "owner", isApproved: true, signal });
      return mock.seen()[0]?.headers["authorization"];
    };
    assert.equal(await add(), "Bearer access-1");
    assert.equal(await add(), "Bearer access-1");
    at = 85_000;
    assert.equal(await add(), "Bearer access-2");
  } finally {
    await place.close();
    await mock.close();
    login.close();
  }
});

test("a way in without encryption, or none at all, is refused with a sentence", () => {
  const way = (url: string): string =>
    `[auth.a]\nkind = "oauth2"\nsecret = "a.b"\nauthorization_url = "https://a.example"\ntoken_url = "${url}"\n`;
  assert.equal(wayIn(way("https://a.example/t")).tokenUrl, "https://a.example/t");
  assert.throws(() => wayIn(way("http://a.example/t")), /without encryption/u);
  assert.throws(() => wayIn('[auth.a]\nkind = "bearer"\n'), /does not sign in by OAuth/u);
});
