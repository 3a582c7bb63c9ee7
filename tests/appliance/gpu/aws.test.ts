import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openAws } from "../../../appliance/gpu/aws/aws.ts";
import type { Form } from "../../../convex/model/gpu.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { examIntent, lyingWorld, providerContract } from "../../contracts/gpuProvider.ts";
import { openAwsEmulator, type AwsEmulator } from "../../fakes/gpu/aws.ts";

const signal = AbortSignal.timeout(60_000);
const need = { gpu: { count: 1, memoryMb: 20_000 } };

async function open(
  t?: TestContext,
): Promise<{ emulator: AwsEmulator; provider: Provider; now: () => number; move: (ms: number) => void }> {
  let at = Date.parse("2026-11-21T12:00:00Z");
  const now = (): number => at;
  const emulator = await openAwsEmulator({ now });
  t?.after(emulator.close);
  const provider = openAws({
    ...emulator.key,
    regions: ["eu-west-3"],
    training: { roleArn: "arn:aws:iam::111122223333:role/nika-training", outputs: "s3://nika-outputs/jobs" },
    now,
    url: emulator.url,
  });
  return {
    emulator,
    provider,
    now,
    move: (ms) => {
      at += ms;
    },
  };
}

/** The exam takes the first offer; this leaves only those of one form. */
const onlyForm = (provider: Provider, form: Form): Provider => ({
  ...provider,
  offers: async (asked, signal) => (await provider.offers(asked, signal)).filter((offer) => offer.form === form),
});

const refusals = { quota: "region", rateLimit: "provider", auth: "account", transient: "region" } as const;
for (const [form, capacity] of [
  ["machine", "zone"],
  ["managed", "region"],
] as const)
  providerContract({
    name: `AWS ${form}`,
    need,
    refusals: { ...refusals, noCapacity: capacity },
    async open() {
      const { emulator, provider, now, move } = await open();
      return lyingWorld({
        provider: onlyForm(provider, form),
        now,
        move,
        lying: emulator.lying,
        secrets: [emulator.key.secretAccessKey],
        close: emulator.close,
      });
    },
  });

test("a machine at AWS carries its identity on itself and its disk, ends by shutting down, and lets nobody read its keys", async (t) => {
  const { emulator, provider, now } = await open(t);
  const offer = (await provider.offers({ ...need, maySpot: true }, signal)).find((one) => one.isSpot);
  assert.ok(offer);
  assert.equal(offer.id, "eu-west-3b/g6.xlarge/spot");
  const intent = examIntent(offer, now());
  await provider.create(intent, signal);
  const asked = new URLSearchParams(emulator.heard.findLast(({ body }) => body.startsWith("Action=RunInstances"))?.body);
  assert.equal(asked.get("ClientToken"), intent.token);
  assert.equal(asked.get("InstanceInitiatedShutdownBehavior"), "terminate");
  assert.equal(asked.get("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior"), "terminate");
  assert.equal(asked.get("InstanceMarketOptions.SpotOptions.MaxPrice"), null);
  assert.equal(asked.get("MetadataOptions.HttpTokens"), "required");
  assert.equal(asked.get("BlockDeviceMapping.1.Ebs.DeleteOnTermination"), "true");
  assert.equal(asked.get("ImageId"), "ami-0000000000000bbbb");
  const kinds = [1, 2, 3, 4].map((n) => asked.get(`TagSpecification.${n}.ResourceType`));
  assert.deepEqual(kinds, ["instance", "volume", "network-interface", "spot-instances-request"]);
  const boot = Buffer.from(asked.get("UserData") ?? "", "base64").toString();
  assert.ok(boot.includes(intent.boot) && boot.includes(intent.publicKey));
});

test("at AWS a shutdown from inside ends the bill", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  move(60_000);
  emulator.shutDownInside(made.observed.ref.id);
  move(60_000);
  assert.deepEqual(emulator.lying.alive(), []);
  const seen = await provider.describe(made.observed.ref, signal);
  assert.deepEqual([seen?.state, seen?.wentBy], ["gone", "itself"]);
});

test("a spot machine that AWS took back says so, and a disk it left is shown and can be ended", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const offer = (await provider.offers({ ...need, maySpot: true }, signal)).find((one) => one.isSpot);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  emulator.cloud.findById(made.observed.ref.id)!.leavesDisk = true;
  move(90_000);
  emulator.lying.set("preempted");
  move(90_000);
  assert.equal((await provider.describe(made.observed.ref, signal))?.wentBy, "preemption");
  move(2 * 3_600_000);
  // The instance is forgotten by now; the disk is not.
  const [left] = await Array.fromAsync(provider.list(signal));
  assert.deepEqual([left?.state, left?.isBilled, left?.satellites.length], ["stopped", true, 1]);
  assert.equal(await provider.terminate(left!.ref, signal), "accepted");
  assert.deepEqual(await Array.fromAsync(provider.list(signal)), []);
  assert.deepEqual(emulator.lying.alive(), []);
});

test("a training job at AWS ends at the deadline by AWS itself, and tells what it billed", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const offer = (await provider.offers(need, signal)).find((one) => one.form === "managed");
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  assert.deepEqual(await provider.output?.(made.observed.ref, undefined, signal), { text: "step 1\n", cursor: "f/1" });
  move(2 * 3_600_000);
  emulator.lying.pass();
  const seen = await provider.describe(made.observed.ref, signal);
  assert.deepEqual([seen?.state, seen?.wentBy], ["gone", "vendor"]);
  const billed = await provider.billed?.(made.observed.ref, signal);
  assert.ok(billed && Math.abs(billed.micros - emulator.lying.billedMicros()) < 2_000, JSON.stringify(billed));
});

test("AWS's checks name the quota to raise, and where the key may too little", async (t) => {
  const { emulator, provider } = await open(t);
  for (const name of emulator.quotas.keys()) emulator.quotas.set(name, 0);
  const checks = await provider.check(signal);
  const quota = checks.find(({ name }) => name === "quota eu-west-3");
  assert.equal(quota?.passed, false);
  assert.match(quota.says, /Running On-Demand G and VT instances \(L-DB2E81BA\)/);
  assert.equal(emulator.lying.billedMicros(), 0);
});

test("AWS's machine that one list leaves out and another shows parts of is shown as it is", async (t) => {
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
