import assert from "node:assert/strict";
import { test } from "node:test";
import { openBoots } from "../../../appliance/gpu/agent/boot.ts";
import { openPasses } from "../../../appliance/gpu/door/passes.ts";
import { openReach } from "../../../appliance/gpu/reach.ts";
import { openMachineKeys } from "../../../appliance/gpu/ssh/machineKeys.ts";
import type { Offer, ProviderId } from "../../../convex/model/gpu.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";

const hourMs = 3_600_000;
const begun = Date.parse("2026-11-22T00:00:00Z");

const ways = { vaultUrl: "http://127.0.0.1:6333", port: 6452, doorSocket: "/door.sock" };

function openAll({ publicUrl, meshUrl }: { publicUrl?: string; meshUrl?: string } = { publicUrl: "https://nika.example" }) {
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
    reach: openReach({ ...ways, publicUrl, meshUrl: () => meshUrl }),
    keysOf: (key, until) => keys.of(key, until),
    meshKeyOf: async (key) => ({ name: `nika-${key}`, key: "tskey-auth-one" }),
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
    const { publicKey, privateKey, host } = await keys.of("one", deadline);
    assert.equal(made.publicKey, publicKey);
    const script = made.container ? made.container.args.join("\n") : made.boot;
    assert.ok(script.includes(end), script);
    assert.ok(script.includes("sleep 3600; "));
    // The key by which one signs in stays here; what the machine shows itself by is its own.
    assert.ok(!script.includes(keyLines(privateKey)));
    assert.equal(script.includes(keyLines(host.privateKey)), form === "machine");
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

test("without an address of Nika's, a container is not rented, and a machine dials its own loopback, where Nika lays a way", async () => {
  const { boots } = openAll({});
  const rented = { key: "one", epoch: 1, deadline: begun + hourMs };
  await assert.rejects(boots.of({ ...rented, offer: offerOf("runpod", "container") }), /NIKA_PUBLIC_URL/u);
  await assert.rejects(boots.of({ ...rented, offer: offerOf("aws", "managed") }), /NIKA_PUBLIC_URL/u);
  for (const offer of [offerOf("ssh", "host"), offerOf("scaleway")])
    assert.ok((await boots.of({ ...rented, offer })).boot.includes("NIKA_GPU_DOOR='http://127.0.0.1:7646'"));
});

test("where the owner has a mesh a machine joins it once, with a key that stands among no program's words, and dials Nika there", async () => {
  const { boots } = openAll({ meshUrl: "https://nika.tail.ts.net" });
  const { boot } = await boots.of({ key: "one", epoch: 1, deadline: begun + hourMs, offer: offerOf("aws") });
  assert.ok(boot.includes("NIKA_GPU_DOOR='https://nika.tail.ts.net'"));
  assert.match(boot, /tailscale up --auth-key="file:\$M" --hostname=nika-one/u);
  assert.equal(boot.split("\n").filter((line) => line.includes("tskey-auth-one") && !line.includes("printf")).length, 0);
});

test("what each sort of machine is reached by, and what is laid to it", () => {
  const alone = openReach({ ...ways, publicUrl: undefined, meshUrl: () => undefined });
  const machine = { provider: "aws", form: "machine" } as const;
  assert.deepEqual(alone.ways(machine, false), [{ port: 7646, to: "/door.sock" }]);
  assert.deepEqual(
    alone.ways(machine, true).map(({ port, to }) => [port, to]),
    [
      [7646, "/door.sock"],
      [7647, 6452],
      [7648, 6333],
    ],
  );
  assert.equal(alone.of({ provider: "runpod", form: "container" }), undefined);
  assert.equal(alone.reaches("runpod"), false);
  assert.equal(alone.reaches("aws"), true);

  const known = openReach({ ...ways, publicUrl: "https://nika.example", meshUrl: () => undefined });
  assert.deepEqual(known.ways(machine, false), []);
  // A vault on this machine is reached by nothing else.
  assert.deepEqual(known.ways(machine, true), [{ port: 7648, to: 6333 }]);
  const afar = openReach({
    ...ways,
    publicUrl: "https://nika.example",
    meshUrl: () => undefined,
    vaultUrl: "https://vault.example",
  });
  assert.deepEqual(afar.ways(machine, true), []);
  assert.equal(afar.of(machine)?.vaultUrl, "https://vault.example");
});

/** Of a private key, the lines that are it. */
const keyLines = (text: string): string => text.trim().split("\n").slice(1, -1).join("\n");
