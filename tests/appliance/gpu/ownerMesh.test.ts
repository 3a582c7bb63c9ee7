import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { openOwnerMesh } from "../../../appliance/gpu/ownerMesh.ts";
import { machineName } from "../../../convex/model/gpu.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import { openFakeTailscale } from "../../fakes/gpu/tailscale.ts";

const signal = AbortSignal.timeout(20_000);
const installId = "k17insta";
const deadline = Date.parse("2026-11-22T12:00:00Z");

function memory(): { secrets: Secrets; values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    secrets: {
      find: async (name) => values.get(name),
      set: async (name, value) => void values.set(name, value),
      remove: async (name) => void values.delete(name),
      renew: async (name, renew) => renew(values.get(name) ?? ""),
      list: async () => [...values.keys()].map((name) => ({ name, setAt: 0 })),
    },
  };
}

test("a machine is let into the tailnet once, by the same key however often it is asked for, and its device goes with it alone", async () => {
  const fake = await openFakeTailscale({ now: () => deadline - 3_600_000 });
  const { secrets, values } = memory();
  const options = { secrets, installId, now: () => deadline - 3_600_000, apiUrl: fake.url };
  const first = await openOwnerMesh(options);
  assert.equal(first.url(), undefined);
  await first.connect({ ...fake.credentials, address: "https://nika.invalid/" }, signal);
  // After a restart it is as before.
  const mesh = await openOwnerMesh(options);
  assert.equal(mesh.url(), "https://nika.invalid");
  const pass = await mesh.pass("machine0test", deadline);
  assert.equal(pass.name, machineName({ installId, machineId: "machine0test", deadline }));
  assert.deepEqual(await mesh.pass("machine0test", deadline), pass);
  assert.deepEqual(await first.pass("machine0test", deadline), pass);
  assert.ok(fake.join(pass.key, pass.name));
  assert.equal(fake.join(pass.key, "nika-thief"), false);

  const other = await mesh.pass("machine1test", deadline);
  assert.ok(fake.join(other.key, other.name));
  const strangers = machineName({ installId: "another1", machineId: "machine2test", deadline });
  const third = await mesh.pass("machine2test", deadline);
  assert.ok(fake.join(third.key, strangers));
  fake.addForeign(other.name);
  await mesh.tidy(new Set([pass.name]), signal);
  assert.deepEqual(
    [...fake.devices.values()].map(({ hostname, tags }) => [hostname, tags.length > 0]),
    [
      [pass.name, true],
      [strangers, true],
      [other.name, false],
    ],
  );
  await mesh.disconnect();
  assert.equal(mesh.url(), undefined);
  assert.equal(values.has("gpu.tailscale"), false);
  await fake.close();
});

test("what is looked at on connecting says whether Tailscale takes the client and whether Nika answers at its address, never a secret", async () => {
  const fake = await openFakeTailscale({ now: Date.now });
  const mesh = await openOwnerMesh({ secrets: memory().secrets, installId, now: Date.now, apiUrl: fake.url });
  await assert.rejects(mesh.connect({ clientId: "one" }, signal), { code: "invalid", message: /clientSecret, address/u });
  const wrong = { ...fake.credentials, address: "http://nika.invalid" };
  await assert.rejects(mesh.connect(wrong, signal), { code: "invalid", message: /https/u });
  await assert.rejects(mesh.connect({ ...wrong, colour: "red" }, signal), { code: "invalid", message: /"colour"/u });
  // Nobody answers at that port.
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as { port: number };
  await new Promise((resolve) => closed.close(resolve));
  fake.revoke();
  const checks = await mesh.connect({ ...fake.credentials, address: `https://127.0.0.1:${port}` }, signal);
  assert.deepEqual(
    checks.map(({ name, passed }) => [name, passed]),
    [
      ["mesh", false],
      ["address", false],
    ],
  );
  assert.ok(!JSON.stringify(checks).includes(fake.credentials.clientSecret));
  await fake.close();
});
