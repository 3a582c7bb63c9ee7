import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openGoogle } from "../../../appliance/gpu/google/google.ts";
import type { Form } from "../../../convex/model/gpu.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { examIntent, lyingWorld, providerContract } from "../../contracts/gpuProvider.ts";
import { openGoogleEmulator, type GoogleEmulator } from "../../fakes/gpu/google.ts";

const signal = AbortSignal.timeout(60_000);
const need = { gpu: { count: 1, memoryMb: 20_000 } };

async function open(
  t?: TestContext,
): Promise<{ emulator: GoogleEmulator; provider: Provider; now: () => number; move: (ms: number) => void }> {
  let at = Date.parse("2026-11-21T12:00:00Z");
  const now = (): number => at;
  const emulator = await openGoogleEmulator({ now });
  t?.after(emulator.close);
  const provider = openGoogle({
    serviceAccount: emulator.serviceAccount,
    regions: ["europe-west4"],
    training: {},
    now,
    url: emulator.url,
  });
  return { emulator, provider, now, move: (ms) => void (at += ms) };
}

const onlyForm = (provider: Provider, form: Form): Provider => ({
  ...provider,
  offers: async (asked, signal) => (await provider.offers(asked, signal)).filter((offer) => offer.form === form),
});

const refusals = { quota: "region", balance: "account", rateLimit: "provider", auth: "account", transient: "zone" } as const;
for (const [form, capacity] of [
  ["machine", "zone"],
  ["managed", "region"],
] as const)
  providerContract({
    name: `Google Cloud ${form}`,
    need,
    refusals: { ...refusals, noCapacity: capacity },
    async open() {
      const { emulator, provider, now, move } = await open();
      const { private_key: secret } = JSON.parse(emulator.serviceAccount) as { private_key: string };
      return lyingWorld({
        provider: onlyForm(provider, form),
        now,
        move,
        lying: emulator.lying,
        secrets: [secret],
        close: emulator.close,
      });
    },
  });

test("Google deletes a machine at its deadline by itself, disk and all, unless its timer lies", async (t) => {
  for (const isEnforced of [true, false]) {
    const { emulator, provider, now, move } = await open(t);
    const [offer] = await provider.offers(need, signal);
    assert.ok(offer);
    await provider.create(examIntent(offer, now()), signal);
    if (!isEnforced) emulator.lying.set("ttlNotEnforced");
    move(2 * 3_600_000);
    emulator.lying.pass();
    assert.equal(emulator.lying.alive().length, isEnforced ? 0 : 1);
  }
});

test("at Google a machine that shut down goes on being billed for its disk, and is ended all the same", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  move(60_000);
  emulator.shutDownInside(`europe-west4-a/${made.observed.ref.id}`);
  const seen = await provider.describe(made.observed.ref, signal);
  assert.deepEqual([seen?.state, seen?.isBilled], ["stopped", true]);
  assert.equal(emulator.lying.alive()[0]?.isSatellite, true);
  await provider.terminate(made.observed.ref, signal);
  move(60_000);
  assert.deepEqual(emulator.lying.alive(), []);
});

test("a disk that outlived its machine at Google is listed by its label and can be ended", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const intent = examIntent(offer, now());
  const made = await provider.create(intent, signal);
  assert.ok(made.type === "created");
  emulator.lying.set("satelliteLeft");
  await provider.terminate(made.observed.ref, signal);
  move(60_000);
  const [left] = await Array.fromAsync(provider.list(signal));
  assert.deepEqual([left?.state, left?.satellites.length, left?.machineId], ["stopped", 1, intent.machineId]);
  assert.equal(await provider.terminate(left!.ref, signal), "accepted");
  assert.equal(await provider.terminate(left!.ref, signal), "gone");
  assert.deepEqual(emulator.lying.alive(), []);
});

test("Google's prices are sums of parts, and what has a part without a price is not offered", async (t) => {
  const { provider } = await open(t);
  const offers = await provider.offers({ gpu: { count: 1, memoryMb: 10_000 }, maySpot: true }, signal);
  const priced = new Map(offers.map((offer) => [offer.id, offer.hourly.micros]));
  // 8 processors at 0.03, 32 GiB at 0.004, one L4 at 0.6 dollars an hour.
  assert.equal(priced.get("europe-west4-a/g2-standard-8"), 968_000);
  assert.equal(priced.get("europe-west4-a/g2-standard-8/spot"), 387_200);
  assert.equal(priced.get("europe-west4/vertex/g2-standard-8+1xnvidia-l4"), 1_104_000);
  assert.equal(priced.get("europe-west4-b/n1-standard-8+1xnvidia-tesla-t4"), 760_000);
  // No T4 in that zone; no price for what brings its own disks.
  assert.ok(!priced.has("europe-west4-a/n1-standard-8+1xnvidia-tesla-t4"));
  assert.ok(![...priced.keys()].some((id) => id.includes("a2-ultragpu")));
});

test("Google's token is renewed when it runs out, and asking goes on", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  move(3 * 3_600_000);
  emulator.lying.set("tokenExpired");
  assert.equal((await provider.create(examIntent(offer, now()), signal)).type, "created");
  assert.equal(emulator.lying.alive().length, 1);
});

test("Google's checks name the permission that lacks and the quota to raise", async (t) => {
  const { emulator, provider } = await open(t);
  emulator.lacking.add("compute.instances.delete");
  emulator.quotas.set("GPUS_ALL_REGIONS", 0);
  emulator.quotas.set("NVIDIA_L4_GPUS", 0);
  emulator.quotas.set("PREEMPTIBLE_NVIDIA_L4_GPUS", 0);
  const says = Object.fromEntries((await provider.check(signal)).map((one) => [one.name, one.passed ? "passed" : one.says]));
  assert.match(says["permissions"] ?? "", /compute\.instances\.delete/);
  assert.match(says["quota all regions"] ?? "", /GPUS_ALL_REGIONS/);
  assert.match(says["quota europe-west4"] ?? "", /NVIDIA_L4_GPUS/);
});

test("Google Cloud's machine that one list leaves out and another shows parts of is shown as it is", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created", JSON.stringify(made));
  move(120_000);
  emulator.lying.set("listOmitsOnce");
  const seen = await Array.fromAsync(provider.list(signal));
  assert.deepEqual(
    seen.map((one) => [one.ref.id, one.state]),
    [[made.observed.ref.id, "running"]],
  );
});
