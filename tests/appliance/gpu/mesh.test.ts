import assert from "node:assert/strict";
import { test } from "node:test";
import { tailscale } from "../../../appliance/gpu/mesh.ts";
import { openFakeTailscale } from "../../fakes/gpu/tailscale.ts";

const signal = AbortSignal.timeout(20_000);

test("a key lets one machine in, for a quarter of an hour, and both go with it; others' devices stay", async () => {
  let now = Date.parse("2026-11-21T10:00:00Z");
  const fake = await openFakeTailscale({ now: () => now });
  const mesh = tailscale({ credentials: async () => fake.credentials, now: () => now, url: fake.url });
  fake.addForeign("nika-a");
  const first = await mesh.mint("nika-a", signal);
  assert.ok(fake.join(first.key, "nika-a"));
  assert.equal(fake.join(first.key, "nika-b"), false);
  const second = await mesh.mint("nika-b", signal);
  now += 901_000;
  assert.equal(fake.join(second.key, "nika-b"), false);

  assert.deepEqual(
    (await mesh.list(signal)).map(({ name }) => name),
    ["nika-a"],
  );
  await mesh.remove({ name: "nika-a", keyId: first.id }, signal);
  await mesh.remove({ name: "nika-a", keyId: first.id }, signal);
  assert.deepEqual(
    [...fake.devices.values()].map(({ tags }) => tags),
    [[]],
  );
  assert.equal(fake.heard.filter(({ url }) => url.pathname.endsWith("/oauth/token")).length, 1);
  await fake.close();
});

test("an OAuth client that is no longer good is told so, without its secret", async () => {
  const fake = await openFakeTailscale({ now: Date.now });
  const mesh = tailscale({ credentials: async () => fake.credentials, now: Date.now, url: fake.url });
  fake.revoke();
  await assert.rejects(mesh.mint("nika-a", signal), (error: { failure?: { kind: string; says: string } }) => {
    assert.equal(error.failure?.kind, "auth");
    return !JSON.stringify(error.failure).includes(fake.credentials.clientSecret);
  });
  await fake.close();
});
