import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { openKeys } from "../../../appliance/secrets/keys.ts";
import { isOwnerToken, mintOwnerToken, tokenLifeMs } from "../../../appliance/secrets/token.ts";

function withDir<T>(run: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "nika-keys-"));
  try {
    return run(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("keys are made once and are for their owner's eyes only", () => {
  withDir((dir) => {
    const first = openKeys(dir);
    const second = openKeys(dir);
    assert.equal(second.adminKey, first.adminKey);
    assert.equal(second.jwksUrl, first.jwksUrl);
    assert.equal(statSync(join(dir, "keys")).mode & 0o777, 0o700);
    for (const name of readdirSync(join(dir, "keys"))) assert.equal(statSync(join(dir, "keys", name)).mode & 0o777, 0o600, name);
  });
});

test("a library that knows only the published public key accepts an owner token", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-keys-"));
  const keys = openKeys(dir);
  rmSync(dir, { recursive: true });
  const { token } = mintOwnerToken(keys.signing, Date.now());
  const jwks = JSON.parse(Buffer.from(keys.jwksUrl.split(",")[1]!, "base64").toString());

  const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), { issuer: "https://nika.internal", audience: "nika" });

  assert.equal(payload.sub, "owner");
  assert.equal("d" in jwks.keys[0], false, "the private half must stay home");
});

test("a token is refused when it expired, was changed, or was signed by another machine", () => {
  withDir((dir) => {
    const { signing } = openKeys(dir);
    const { token } = mintOwnerToken(signing, 0);
    assert.equal(isOwnerToken(token, signing, tokenLifeMs - 1), true);
    assert.equal(isOwnerToken(token, signing, tokenLifeMs), false);
    const [head, body, signature] = token.split(".");
    const claims = { ...JSON.parse(Buffer.from(body!, "base64url").toString()), exp: 9e9 };
    const stretched = Buffer.from(JSON.stringify(claims)).toString("base64url");
    assert.equal(isOwnerToken(`${head}.${stretched}.${signature}`, signing, 0), false);
    assert.equal(isOwnerToken("", signing, 0), false);
    withDir((other) => assert.equal(isOwnerToken(token, openKeys(other).signing, 0), false));
  });
});
