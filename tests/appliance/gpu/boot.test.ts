import assert from "node:assert/strict";
import { test } from "node:test";
import { openBoots } from "../../../appliance/gpu/agent/boot.ts";
import { openPasses } from "../../../appliance/gpu/door/passes.ts";
import { openMachineKeys } from "../../../appliance/gpu/ssh/machineKeys.ts";
import type { Offer, ProviderId } from "../../../convex/model/gpu.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";

const hourMs = 3_600_000;
const begun = Date.parse("2026-11-22T00:00:00Z");

function openAll() {
  let at = begun;
  const values = new Map<string, string>();
  const secrets: Secrets = {
    find: async (name) => values.get(name),
    set: async (name, value) => void values.set(name, value),
    remove: async (name) => void values.delete(name),
    renew: async (name, renew) => renew(values.get(name) ?? ""),
    list: async () => [...values.keys()].map((name) => ({ name, setAt: begun })),
  };
  const keys = openMachineKeys(secrets, () => at);
  const boots = openBoots({
    passes: openPasses(Buffer.from("secret")),
    doorUrl: () => "https://nika.example",
    publicKeyOf: async (key, until) => (await keys.of(key, until)).publicKey,
    now: () => at,
  });
  return { keys, boots, values, pass: (ms: number): void => void (at += ms) };
}

function offerOf(provider: ProviderId, form: Offer["form"] = "machine"): Offer {
  return {
    id: "one",
    provider,
    type: "one",
    region: "one",
    form,
    isInEu: true,
    cpus: 4,
    memoryMb: 16_000,
    diskMb: 50_000,
    isSpot: false,
    hourly: { micros: 1, currency: "EUR" },
    quantumMs: 1_000,
    minimumMs: 0,
    stock: "unknown",
    pricedAt: begun,
    priceSource: "none",
  };
}

test("each machine has a key of its own, the same when it is asked for again, and none once its time is long over", async () => {
  const { keys, values, pass } = openAll();
  const [one, again, other] = await Promise.all([
    keys.of("one", begun + hourMs),
    keys.of("one", begun + hourMs),
    keys.of("other", begun + 300 * hourMs),
  ]);
  assert.match(one.publicKey, /^ssh-ed25519 \S+ nika$/u);
  assert.match(one.privateKey, /^-----BEGIN OPENSSH PRIVATE KEY-----/u);
  assert.equal(again.publicKey, one.publicKey);
  assert.notEqual(other.publicKey, one.publicKey);

  pass(200 * hourMs);
  await keys.of("third", begun + 300 * hourMs);
  assert.deepEqual(
    [...values.keys()].map((name) => name.split(".")[2]),
    ["other", "third"],
  );
});

for (const [provider, form, end] of [
  ["aws", "machine", '{"type":"shutdown"}'],
  ["google", "machine", "compute.googleapis.com"],
  ["azure", "machine", "management.azure.com{{resourceId}}"],
  ["contabo", "machine", '{"type":"shutdown"}'],
  ["scaleway", "machine", '"x-auth-token":"an-end-key"'],
  ["runpod", "container", "api.runpod.io/v2/pods/"],
] as const)
  test(`what ${provider} starts with knows its way to its own end, and who may sign in`, async () => {
    const { boots, keys } = openAll();
    const deadline = begun + hourMs;
    const made = await boots.of({ key: "one", epoch: 1, deadline, offer: offerOf(provider, form), endKey: "an-end-key" });
    const { publicKey } = await keys.of("one", deadline);
    assert.equal(made.publicKey, publicKey);
    const script = made.container ? made.container.args.join("\n") : made.boot;
    assert.ok(script.includes(end), script);
    assert.ok(script.includes("sleep 3600; "));
    assert.ok(!script.includes("PRIVATE KEY"));
    if (made.container) assert.equal(made.container.environment["PUBLIC_KEY"], publicKey);
    // It takes no key for one machine, so the script lets it in.
    assert.equal(script.includes(publicKey.trim()), provider === "scaleway");
  });

test("a machine of the owner's is given no key: Nika signs in there already", async () => {
  const { boots, values } = openAll();
  const made = await boots.of({ key: "one", epoch: 1, deadline: begun + hourMs, offer: offerOf("ssh", "host") });
  assert.equal(made.publicKey, "");
  assert.equal(values.size, 0);
});

test("what could not reach Nika is not rented", async () => {
  const boots = openBoots({
    passes: openPasses(Buffer.from("secret")),
    doorUrl: () => undefined,
    publicKeyOf: async () => "",
    now: () => begun,
  });
  const rented = { key: "one", epoch: 1, deadline: begun + hourMs, offer: offerOf("scaleway") };
  await assert.rejects(boots.of(rented), /NIKA_PUBLIC_URL/u);
  const { boot } = await boots.of({ ...rented, offer: offerOf("ssh", "host") });
  assert.ok(boot.includes("http://127.0.0.1:7646"));
});
