import assert from "node:assert/strict";
import { test } from "node:test";
import { openAuthenticator } from "../../../../appliance/engine/auth/authenticator.ts";
import { issuer } from "./issuer.ts";

const adminKey = "nika|00ff";
const nowMs = Date.now;
const ours = await issuer();
const auth = openAuthenticator({ adminKey, providers: [ours.provider], nowMs });
const denied = (pattern: RegExp) => (error: Error & { code?: string }) => error.code === "denied" && pattern.test(error.message);
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

test("a good token tells who its bearer is, in Convex's words", async () => {
  const token = await ours.mint({
    email: "a@b.c",
    email_verified: true,
    given_name: "Ada",
    team: "x",
    tokenIdentifier: "forged",
  });

  const { identity } = await auth.identifyHeader(`Bearer ${token}`);

  assert.deepEqual(identity, {
    type: "user",
    attributes: {
      tokenIdentifier: "https://test.internal|owner",
      issuer: "https://test.internal",
      subject: "owner",
      email: "a@b.c",
      emailVerified: true,
      givenName: "Ada",
      team: "x",
    },
  });
});

test("RS256 is accepted where the provider says so", async () => {
  const rsa = await issuer("RS256");
  const { identity } = await openAuthenticator({ adminKey, providers: [rsa.provider], nowMs }).identifyHeader(
    `Bearer ${await rsa.mint()}`,
  );

  assert.equal(identity.type, "user");
});

test("a token a few seconds over its time is still good, and says when it ends", async () => {
  const exp = inSeconds(-2);
  const { expiresAtMs } = await auth.identifyHeader(`Bearer ${await ours.mint({ exp })}`);

  assert.equal(expiresAtMs, (exp + 5) * 1000);
});

const bad: readonly [string, () => Promise<string>, RegExp][] = [
  ["expired", () => ours.mint({ exp: inSeconds(-60) }), /expired/],
  ["without end", () => ours.mint({ exp: undefined }), /exp/],
  ["without subject", () => ours.mint({ sub: undefined }), /sub/],
  ["for another audience", () => ours.mint({ aud: "other" }), /No auth provider matches/],
  ["of another issuer", () => ours.mint({ iss: "https://evil.test" }), /No auth provider matches/],
  ["not valid yet", () => ours.mint({ nbf: inSeconds(60) }), /not accepted/],
  ["without a key id", () => ours.mint({}, { kid: undefined }), /kid/],
  ["naming an unknown key", () => ours.mint({}, { kid: "two" }), /not accepted/],
  ["signed by somebody else", async () => (await issuer()).mint(), /not accepted/],
  ["that is no JWT", async () => "nonsense", /not a JWT/],
  ["that claims to need no signature", async () => unsigned(), /kid|not accepted/],
];
for (const [name, mint, pattern] of bad)
  test(`a token ${name} is refused`, async () => {
    await assert.rejects(auth.identifyHeader(`Bearer ${await mint()}`), denied(pattern));
  });

function unsigned(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: "https://test.internal", aud: "app", sub: "owner", exp: inSeconds(60) };
  return `${part({ alg: "none", kid: "one" })}.${part(claims)}.`;
}

test("the admin key opens, another does not, and it may act as a user", async () => {
  assert.deepEqual((await auth.identifyHeader(`Convex ${adminKey}`)).identity, { type: "admin" });
  await assert.rejects(auth.identifyHeader("Convex nika|00fe"), denied(/admin key/));
  await assert.rejects(auth.identifyHeader("Convex "), denied(/Authorization|admin key/));
  const acting = Buffer.from('{"subject":"ada"}').toString("base64");
  assert.deepEqual((await auth.identifyHeader(`Convex ${adminKey}:${acting}`)).identity, {
    type: "admin",
    actingAs: { subject: "ada" },
  });
});

test("no header is nobody, an unknown scheme is refused", async () => {
  assert.deepEqual((await auth.identifyHeader(undefined)).identity, { type: "none" });
  await assert.rejects(auth.identifyHeader("Basic abc"), denied(/Authorization/));
});

test("a provider's keys are found by discovery, and kept while it is away", async () => {
  const away = { is: false };
  const rsa = await issuer("RS256", "https://login.test");
  const keys = Buffer.from(String(rsa.provider["jwks"]).split(",")[1] ?? "", "base64").toString();
  const asked: string[] = [];
  let clockMs = Date.now();
  const oidc = openAuthenticator({
    adminKey,
    providers: [{ domain: "login.test", applicationID: "app" }],
    nowMs: () => clockMs,
    fetch: async (url) => {
      const address = url instanceof Request ? url.url : String(url);
      asked.push(address);
      if (away.is) throw new Error("away");
      return Response.json(
        address.endsWith("configuration")
          ? { issuer: "https://login.test", jwks_uri: "https://login.test/keys" }
          : JSON.parse(keys),
      );
    },
  });

  assert.equal((await oidc.identifyHeader(`Bearer ${await rsa.mint()}`)).identity.type, "user");
  assert.deepEqual(asked, ["https://login.test/.well-known/openid-configuration", "https://login.test/keys"]);
  away.is = true;
  clockMs += 20 * 60_000;
  assert.equal((await oidc.identifyHeader(`Bearer ${await rsa.mint()}`)).identity.type, "user");
});

test("a provider that cannot be reached is not the token's fault", async () => {
  const rsa = await issuer("RS256", "https://login.test");
  const fetch = async (): Promise<Response> => {
    throw new Error("away");
  };
  const oidc = openAuthenticator({ adminKey, providers: [{ domain: "login.test", applicationID: "app" }], nowMs, fetch });

  await assert.rejects(oidc.identifyHeader(`Bearer ${await rsa.mint()}`), { code: "unavailable" });
});
