import assert from "node:assert/strict";
import { test } from "node:test";
import { runpod } from "../../../../appliance/gpu/runpod/runpod.ts";
import { examIntent, lyingWorld, providerContract, type ExamWorld } from "../../../contracts/gpuProvider.ts";
import { openFakeRunpod, type FakeRunpod } from "../../../fakes/gpu/runpod.ts";

const signal = AbortSignal.timeout(60_000);
const refusals = {
  noCapacity: "type",
  quota: "account",
  balance: "account",
  rateLimit: "provider",
  auth: "account",
  transient: "provider",
} as const;

async function openWorld(hasServerless = false): Promise<ExamWorld & { readonly fake: FakeRunpod }> {
  let at = Date.parse("2026-11-21T10:00:00Z");
  const now = (): number => at;
  const fake = await openFakeRunpod({ now });
  const provider = runpod({
    credentials: async () => ({ apiKey: fake.apiKey }),
    now,
    url: fake.url,
    runUrl: fake.url,
    hasServerless,
  });
  const { lying, keys, apiKey } = fake;
  const move = (ms: number): void => void (at += ms);
  return { ...lyingWorld({ provider, now, move, lying, keys: () => [...keys], secrets: [apiKey], close: fake.close }), fake };
}

providerContract({ name: "RunPod", open: openWorld, need: { gpu: { count: 1, memoryMb: 24_000 } }, refusals });

const managedOnly = async (): Promise<ExamWorld> => {
  const world = await openWorld(true);
  const offers = async (...asked: Parameters<typeof world.provider.offers>) =>
    (await world.provider.offers(...asked)).filter(({ form }) => form === "managed");
  return { ...world, provider: { ...world.provider, offers } };
};
providerContract({ name: "RunPod serverless", open: managedOnly, need: { gpu: { count: 1, memoryMb: 24_000 } }, refusals });

test("a pod gets its own key and its identity, and arguments that survive a shell", async () => {
  const { provider, fake, now, close } = await openWorld();
  const [offer] = await provider.offers({ gpu: { count: 2, memoryMb: 24_000 }, isInEu: true }, signal);
  assert.ok(offer);
  const intent = examIntent(offer, now());
  await provider.create(intent, signal);
  const sent = JSON.parse(fake.heard.find(({ method }) => method === "POST")?.body ?? "") as Record<string, unknown>;
  await close();

  assert.deepEqual(sent.gpu, { id: "NVIDIA L4", count: 2 });
  assert.deepEqual(sent.dataCenterIds, ["EU-RO-1"]);
  assert.equal(sent.args, String.raw`run 'it'\''s'`);
  assert.equal((sent.env as Record<string, string>).PUBLIC_KEY, intent.publicKey);
  assert.equal((sent.env as Record<string, string>).NIKA_MACHINE_ID, intent.machineId);
  assert.equal("startSsh" in sent, false);
});

test("what RunPod bills and what a pod wrote are told", async () => {
  const { provider, now, advance, close } = await openWorld();
  const [offer] = await provider.offers({ gpu: { count: 1, memoryMb: 24_000 } }, signal);
  assert.ok(offer);
  const result = await provider.create(examIntent(offer, now()), signal);
  assert.ok(result.type === "created");
  advance(3_600_000);

  assert.deepEqual(await provider.billed?.(result.observed.ref, signal), offer.hourly);
  assert.equal((await provider.describe(result.observed.ref, signal))?.address?.sshPort, 34_446);
  const first = await provider.output?.(result.observed.ref, undefined, signal);
  assert.equal(first?.text, "one\ntwo\n");
  assert.equal((await provider.output?.(result.observed.ref, first?.cursor, signal))?.text, "");
  await close();
});

test("processors are let where no GPU is wanted", async () => {
  const { provider, close } = await openWorld();
  const [offer] = await provider.offers({ cpus: 3, memoryMb: 6_000, isInEu: true }, signal);
  await close();
  assert.equal(offer?.cpus, 4);
  assert.equal(offer?.gpu, undefined);
  assert.equal(offer?.hourly.micros, 160_000);
});

test("a job that is refused takes its endpoint along", async () => {
  const { provider, now, close, fake } = await openWorld(true);
  const offer = (await provider.offers({ gpu: { count: 1, memoryMb: 24_000 } }, signal)).find(({ form }) => form === "managed");
  assert.ok(offer);
  const dead = runpod({ credentials: async () => ({ apiKey: fake.apiKey }), now, url: fake.url, runUrl: `${fake.url}/nowhere` });
  const result = await dead.create(examIntent(offer, now()), signal);
  assert.equal(result.type, "failed");
  assert.equal(fake.heard.filter(({ method }) => method === "DELETE").length, 1);
  await close();
});
