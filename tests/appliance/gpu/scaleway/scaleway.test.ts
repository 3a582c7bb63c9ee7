import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleway } from "../../../../appliance/gpu/scaleway/scaleway.ts";
import type { Offer } from "../../../../convex/model/gpu.ts";
import { examIntent, lyingWorld, providerContract, type ExamWorld } from "../../../contracts/gpuProvider.ts";
import { openFakeScaleway, zones, type FakeScaleway } from "../../../fakes/gpu/scaleway.ts";

const signal = AbortSignal.timeout(60_000);
const need = { gpu: { count: 1, memoryMb: 24_000 } };

async function openWorld(): Promise<ExamWorld & { readonly fake: FakeScaleway }> {
  let at = Date.parse("2026-11-21T10:00:00Z");
  const now = (): number => at;
  const fake = await openFakeScaleway({ now });
  const { lying, keys, credentials } = fake;
  const provider = scaleway({ credentials: async () => credentials, now, url: fake.url, zones });
  const move = (ms: number): void => void (at += ms);
  return {
    ...lyingWorld({ provider, now, move, lying, keys: () => [...keys], secrets: [credentials.secretKey], close: fake.close }),
    fake,
  };
}
const offered = async ({ provider }: ExamWorld): Promise<Offer> => {
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  return offer;
};

providerContract({
  name: "Scaleway",
  open: openWorld,
  need,
  refusals: { noCapacity: "type", quota: "type", rateLimit: "provider", auth: "account", transient: "provider" },
});

test("a server boots with its script, and only then is it on", async () => {
  const world = await openWorld();
  const intent = examIntent(await offered(world), world.now());
  const result = await world.provider.create(intent, signal);
  await world.close();

  assert.ok(result.type === "created");
  assert.equal(world.fake.userData.get(result.observed.ref.id), intent.boot);
  const steps = world.fake.heard
    .filter(({ method }) => method !== "GET")
    .map(({ method, url }) => `${method} ${url.pathname.split("/").at(-1)}`);
  assert.deepEqual(steps, ["POST servers", "PATCH cloud-init", "POST action"]);
});

test("a server that was made and never started is gone on with, not made again", async () => {
  const world = await openWorld();
  const intent = examIntent(await offered(world), world.now());
  const clear = world.fault({ type: "lostAfter" });
  assert.equal((await world.provider.create(intent, signal)).type, "unknown");
  clear();
  world.advance(30_000);
  const half = (await Array.fromAsync(world.provider.list(signal)))[0];
  assert.equal(half?.state, "stopped");
  assert.equal(half?.isBilled, true);

  const result = await world.provider.create(intent, signal);
  assert.ok(result.type === "created");
  assert.deepEqual(result.observed.ref, half?.ref);
  assert.equal(world.left().machines, 1);
  await world.close();
});

test("what shut itself down stands by, billed; its disk outlives it and is found by its name", async () => {
  const world = await openWorld();
  const intent = examIntent(await offered(world), world.now());
  const result = await world.provider.create(intent, signal);
  assert.ok(result.type === "created");
  const { ref } = result.observed;
  world.advance(120_000);
  world.fake.shutDown(ref.id);
  const stopped = await world.provider.describe(ref, signal);
  assert.equal(stopped?.state, "stopped");
  assert.equal(stopped?.isBilled, true);

  await world.provider.terminate(ref, signal);
  world.advance(120_000);
  assert.deepEqual(world.left(), { machines: 0, satellites: 1 });
  const left = (await Array.fromAsync(world.provider.list(signal))).find((one) => one.satellites.length > 0);
  assert.equal(left?.state, "stopped");
  assert.ok(left?.machineId !== undefined && intent.machineId.startsWith(left.machineId));
  assert.deepEqual((await world.provider.describe(ref, signal))?.satellites, left?.satellites);
  assert.equal(await world.provider.terminate(left.ref, signal), "accepted");
  assert.equal(await world.provider.terminate(ref, signal), "gone");
  assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  await world.close();
});

test("a list that loses an entry between two pages is no list", async () => {
  const world = await openWorld();
  const offer = await offered(world);
  for (const machine of ["machine0aaaa", "machine0bbbb", "machine0cccc"])
    await world.provider.create(examIntent(offer, world.now(), machine), signal);
  world.advance(30_000);
  world.fake.lying.set("listPageLost");
  await assert.rejects(Array.fromAsync(world.provider.list(signal)), { name: "ProviderError" });
  await world.close();
});

test("processors are billed by the hour, GPUs by the minute, and other architectures are not offered", async () => {
  const world = await openWorld();
  const plain = await world.provider.offers({ cpus: 4 }, signal);
  assert.deepEqual([...new Set(plain.map(({ type }) => type))], ["GP1-XS"]);
  assert.equal(plain[0]?.quantumMs, 3_600_000);
  assert.equal((await offered(world)).quantumMs, 60_000);
  const large = await world.provider.offers({ gpu: { count: 1, memoryMb: 80_000 } }, signal);
  assert.deepEqual(
    large.map(({ type, stock, gpu }) => [type, stock, gpu?.name]),
    [
      ["H100-1-80G", "none", "H100"],
      ["H100-1-80G", "none", "H100"],
    ],
  );
  await world.close();
});

test("a key for ending itself is made for one machine, runs out soon after it, and goes with it", async () => {
  const world = await openWorld();
  const { url, credentials, apiKeys } = world.fake;
  const applicationId = "00000000-0000-4000-8000-00000000a991";
  const provider = scaleway({
    credentials: async () => credentials,
    now: world.now,
    url,
    zones,
    endApplicationId: applicationId,
  });
  const intent = examIntent(await offered(world), world.now());
  const key = await provider.endKey?.(intent, signal);
  assert.ok(key !== undefined && key !== credentials.secretKey);
  assert.deepEqual(
    [...apiKeys.values()],
    [{ description: intent.name, expiresAt: new Date(intent.deadline + 600_000).toISOString() }],
  );
  assert.equal(await world.provider.endKey?.(intent, signal), undefined);

  const made = await provider.create(intent, signal);
  assert.ok(made.type === "created");
  const answers: string[] = [];
  for (let round = 0; round < 4; round++) {
    answers.push(await provider.terminate(made.observed.ref, signal));
    world.advance(60_000);
  }
  assert.equal(answers.at(-1), "gone");
  assert.equal(apiKeys.size, 0);
  await world.close();
});
