import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openAzure } from "../../../appliance/gpu/azure/azure.ts";
import type { Form } from "../../../convex/model/gpu.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { examIntent, lyingWorld, providerContract } from "../../contracts/gpuProvider.ts";
import { openAzureEmulator, type AzureEmulator } from "../../fakes/gpu/azure.ts";

const signal = AbortSignal.timeout(60_000);
const need = { gpu: { count: 1, memoryMb: 10_000 } };
const role = "/subscriptions/33333333-cccc-4ccc-8ccc-333333333333/providers/Microsoft.Authorization/roleDefinitions/nika-end";

async function open(
  t?: TestContext,
): Promise<{ emulator: AzureEmulator; provider: Provider; now: () => number; move: (ms: number) => void }> {
  let at = Date.parse("2026-11-21T12:00:00Z");
  const now = (): number => at;
  const emulator = await openAzureEmulator({ now });
  t?.after(emulator.close);
  const provider = openAzure({
    ...emulator.key,
    regions: ["westeurope"],
    training: { group: "learning", workspace: "nika", region: "westeurope" },
    selfDeleteRole: role,
    now,
    sleep: () => Promise.resolve(),
    url: emulator.url,
  });
  return { emulator, provider, now, move: (ms) => void (at += ms) };
}

const onlyForm = (provider: Provider, form: Form): Provider => ({
  ...provider,
  offers: async (asked, signal) => (await provider.offers(asked, signal)).filter((offer) => offer.form === form),
});

for (const form of ["machine", "managed"] as const)
  providerContract({
    name: `Azure ${form}`,
    need,
    refusals: {
      noCapacity: "region",
      quota: "region",
      balance: "account",
      rateLimit: "provider",
      auth: "account",
      transient: "region",
    },
    async open() {
      const { emulator, provider, now, move } = await open();
      return lyingWorld({
        provider: onlyForm(provider, form),
        now,
        move,
        lying: emulator.lying,
        secrets: [emulator.key.secret],
        close: emulator.close,
      });
    },
  });

test("a machine that Azure could not place leaves a group behind, which is known and can be ended", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const intent = examIntent(offer, now());
  emulator.lying.set("noCapacity");
  emulator.lying.set("terminateIgnoredTwice");
  const made = await provider.create(intent, signal);
  assert.ok(made.type === "unknown" && made.ref);
  assert.equal(made.failure.kind, "noCapacity");
  assert.deepEqual(emulator.groups(), [intent.name]);
  for (let round = 0; round < 2; round++) {
    assert.equal(await provider.terminate(made.ref, signal), "accepted");
    move(60_000);
  }
  assert.equal(await provider.terminate(made.ref, signal), "gone");
  assert.deepEqual(emulator.groups(), []);
});

test("at Azure a machine that shut itself down is billed in full, and the shutdown that was asked for ends that at the deadline", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  const { ref } = made.observed;
  move(60_000);
  emulator.shutDownInside(ref.id);
  const seen = await provider.describe(ref, signal);
  assert.deepEqual([seen?.state, seen?.isBilled], ["stopped", true]);
  assert.equal(emulator.lying.alive()[0]?.isSatellite, undefined);
  move(3_600_000);
  emulator.lying.pass();
  move(60_000);
  assert.equal(emulator.lying.alive()[0]?.isSatellite, true);
  await provider.terminate(ref, signal);
  move(60_000);
  assert.deepEqual([emulator.lying.alive(), emulator.groups()], [[], []]);
});

test("what a machine at Azure may do is end its own group and nothing else, and all it is made of goes with it", async (t) => {
  const { emulator, provider, now } = await open(t);
  const offer = (await provider.offers({ ...need, maySpot: true }, signal)).find((one) => one.isSpot);
  assert.ok(offer);
  assert.equal(offer.hourly.micros, 180_000);
  const intent = examIntent(offer, now());
  await provider.create(intent, signal);
  const asked = (kind: string): { path: string; body: unknown } => {
    const found = emulator.heard.findLast(({ method, url }) => method === "PUT" && url.pathname.includes(kind));
    return { path: found?.url.pathname ?? "", body: JSON.parse(found?.body ?? "{}") };
  };
  const grant = asked("roleAssignments");
  assert.ok(grant.path.includes(`/resourceGroups/${intent.name}/`));
  assert.partialDeepStrictEqual(grant.body, { properties: { roleDefinitionId: role, principalType: "ServicePrincipal" } });
  const { properties, tags } = asked("/virtualMachines/").body as {
    properties: Record<string, unknown> & { osProfile: { customData: string } };
    tags: Record<string, string>;
  };
  assert.equal(Buffer.from(properties.osProfile.customData, "base64").toString(), intent.boot);
  assert.deepEqual(
    [properties["priority"], properties["evictionPolicy"], properties["billingProfile"]],
    ["Spot", "Delete", { maxPrice: -1 }],
  );
  // Disk, network card and address.
  assert.equal(JSON.stringify(properties).match(/"deleteOption":"Delete"/g)?.length, 3);
  assert.equal(tags["nika-install"], intent.installId);
  assert.partialDeepStrictEqual(asked("schedules").body, {
    properties: { dailyRecurrence: { time: "1300" }, timeZoneId: "UTC" },
  });
  // Tagged before anything that could be billed was asked for.
  const first = emulator.heard.find(({ method }) => method === "PUT");
  assert.ok(first?.url.pathname.endsWith(`/resourceGroups/${intent.name}`) && first.body.includes("nika-install"));
});

test("a spot machine that Azure took back is told from one that was never there", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const offer = (await provider.offers({ ...need, maySpot: true }, signal)).find((one) => one.isSpot);
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.ok(made.type === "created");
  emulator.lying.set("preempted");
  move(120_000);
  const seen = await provider.describe(made.observed.ref, signal);
  assert.deepEqual([seen?.state, seen?.wentBy], ["stopped", "preemption"]);
  await provider.terminate(made.observed.ref, signal);
  move(60_000);
  assert.equal(await provider.describe(made.observed.ref, signal), undefined);
});

test("a job's words reach Azure as they are, and its end is Azure's to see to", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const offer = (await provider.offers(need, signal)).find((one) => one.form === "managed");
  assert.ok(offer);
  await provider.create(examIntent(offer, now()), signal);
  const put = emulator.heard.findLast(({ method, url }) => method === "PUT" && url.pathname.includes("/jobs/"));
  const { properties } = JSON.parse(put?.body ?? "{}") as { properties: { command: string; limits: { timeout: string } } };
  assert.equal(properties.command, String.raw`run 'it'\''s'`);
  assert.equal(properties.limits.timeout, "PT3600S");
  move(2 * 3_600_000);
  emulator.lying.pass();
  assert.deepEqual(emulator.lying.alive(), []);
});

test("Azure's checks name the action that lacks, the quota to raise, and what a token that ran out did not stop", async (t) => {
  const { emulator, provider } = await open(t);
  emulator.lying.set("tokenExpired");
  emulator.lacking.add("Microsoft.Compute/virtualMachines/delete");
  for (const name of emulator.quotas.keys()) emulator.quotas.set(name, 0);
  const says = Object.fromEntries((await provider.check(signal)).map((one) => [one.name, one.passed ? "passed" : one.says]));
  assert.equal(says["key"], "passed");
  assert.match(says["permissions"] ?? "", /lacks Microsoft\.Compute\/virtualMachines\/delete:/);
  assert.match(says["quota westeurope"] ?? "", /Standard NCASv3_T4 Family vCPUs/);
});

test("Azure's machine that one list leaves out and another shows parts of is shown as it is", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const [offer] = await provider.offers(need, signal);
  assert.ok(offer);
  // Nobody signs in to it, and Azure wants a key all the same.
  const made = await provider.create(examIntent(offer, now(), undefined, { publicKey: "" }), signal);
  assert.ok(made.type === "created", JSON.stringify(made));
  move(120_000);
  emulator.lying.set("listOmitsOnce");
  const seen = await Array.fromAsync(provider.list(signal));
  assert.deepEqual(
    seen.map((one) => [one.ref.id, one.state]),
    [[made.observed.ref.id, "running"]],
  );
});

test("what a job at Azure writes is read from where it lies, piece by piece, and its store is not shown our token", async (t) => {
  const { emulator, provider, now, move } = await open(t);
  const offer = (await provider.offers(need, signal)).find(({ form }) => form === "managed");
  assert.ok(offer);
  const made = await provider.create(examIntent(offer, now()), signal);
  assert.equal(made.type, "created");
  const { ref } = made.observed;
  assert.deepEqual(await provider.output?.(ref, undefined, signal), { text: "", cursor: "0" });
  move(120_000);
  emulator.lying.pass();
  assert.deepEqual(await provider.output?.(ref, undefined, signal), { text: "epoch 1\nepoch 2\n", cursor: "16" });
  assert.deepEqual(await provider.output?.(ref, "8", signal), { text: "epoch 2\n", cursor: "16" });
  assert.deepEqual(await provider.output?.(ref, "16", signal), { text: "", cursor: "16" });
});
