import assert from "node:assert/strict";
import { test } from "node:test";
import { contabo } from "../../../../appliance/gpu/contabo/contabo.ts";
import { parsePlans } from "../../../../appliance/gpu/contabo/plans.ts";
import { examIntent, lyingWorld, providerContract, type ExamWorld } from "../../../contracts/gpuProvider.ts";
import { openFakeContabo, type FakeContabo } from "../../../fakes/gpu/contabo.ts";

const signal = AbortSignal.timeout(60_000);
const need = { cpus: 4, memoryMb: 12_000 };
/** Not Contabo's prices. */
const plans = [
  {
    productId: "V94",
    cpus: 6,
    memoryMb: 12_000,
    diskMb: 100_000,
    monthlyMicros: 7_200_000,
    currency: "EUR",
    readOn: "2026-11-21",
  },
] as const;

async function openWorld(): Promise<ExamWorld & { readonly fake: FakeContabo }> {
  let at = Date.parse("2026-11-21T10:00:00Z");
  const now = (): number => at;
  const fake = await openFakeContabo({ now });
  const { lying, credentials, url, tokenUrl } = fake;
  const provider = contabo({
    credentials: async () => credentials,
    now,
    url,
    tokenUrl,
    plans,
    installId: "k17exam0installation",
  });
  const move = (ms: number): void => void (at += ms);
  return {
    ...lyingWorld({ provider, now, move, lying, secrets: [credentials.password, credentials.clientSecret], close: fake.close }),
    fake,
  };
}

providerContract({
  name: "Contabo",
  open: openWorld,
  need,
  refusals: { noCapacity: "type", balance: "account", rateLimit: "provider", auth: "account", transient: "provider" },
  // It goes when its month is over.
  endsWithinMs: 31 * 86_400_000,
});

test("a machine that was let go of is cancelled, stopped and keyless, and the next work takes it without buying one", async () => {
  const world = await openWorld();
  const [offer] = await world.provider.offers(need, signal);
  assert.ok(offer);
  assert.equal(offer.hourly.micros * (offer.minimumMs / 3_600_000), 7_200_000);
  const first = examIntent(offer, world.now(), "machine0aaaa");
  const made = await world.provider.create(first, signal);
  assert.ok(made.type === "created");
  world.advance(3_600_000);
  assert.equal(await world.provider.terminate(made.observed.ref, signal), "accepted");
  world.advance(300_000);
  assert.equal(await world.provider.terminate(made.observed.ref, signal), "gone");
  assert.equal(await world.provider.describe(made.observed.ref, signal), undefined);
  assert.deepEqual(world.fake.secrets(), []);
  const [pooled] = await Array.fromAsync(world.provider.list(signal));
  assert.deepEqual([pooled?.state, pooled?.installId], ["stopped", undefined]);

  const free = (await world.provider.offers(need, signal))[0];
  assert.ok(free);
  assert.deepEqual([free.hourly.micros, free.id.startsWith("pool/")], [0, true]);
  const second = examIntent(free, world.now(), "machine0bbbb");
  const taken = await world.provider.create(second, signal);
  assert.ok(taken.type === "created");
  assert.equal(taken.observed.ref.id, made.observed.ref.id);
  assert.equal(world.left().machines, 1);
  // The first one's reference has no power over the second's machine.
  assert.equal(await world.provider.terminate(made.observed.ref, signal), "gone");
  world.advance(900_000);
  assert.equal((await world.provider.describe(taken.observed.ref, signal))?.state, "running");
  assert.equal((await world.provider.create(examIntent(free, world.now(), "machine0cccc"), signal)).type, "failed");
  world.advance(31 * 86_400_000);
  assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  await world.close();
});

test("a cancellation that does not show is said again before the machine is let go of", async () => {
  const world = await openWorld();
  const [offer] = await world.provider.offers(need, signal);
  assert.ok(offer);
  world.fake.lying.set("terminateIgnoredTwice");
  const made = await world.provider.create(examIntent(offer, world.now()), signal);
  assert.ok(made.type === "created");
  world.advance(600_000);
  const answers: string[] = [];
  for (let round = 0; round < 4; round++) answers.push(await world.provider.terminate(made.observed.ref, signal));
  assert.deepEqual(answers, ["accepted", "accepted", "accepted", "gone"]);
  world.advance(31 * 86_400_000);
  assert.equal(world.left().machines, 0);
  await world.close();
});

test("a token that ran out is bought anew, and nothing is asked twice for it", async () => {
  const world = await openWorld();
  const [offer] = await world.provider.offers(need, signal);
  assert.ok(offer);
  world.fake.lying.set("tokenExpired");
  const made = await world.provider.create(examIntent(offer, world.now()), signal);
  assert.equal(made.type, "created");
  world.advance(301_000);
  await Array.fromAsync(world.provider.list(signal));
  assert.equal(world.left().machines, 1);
  assert.equal(world.fake.heard.filter(({ url }) => url.pathname === "/token").length, 3);
  await world.close();
});

test("without a plan that the owner entered nothing is for sale, and GPUs never are", async () => {
  const world = await openWorld();
  const { credentials, url, tokenUrl } = world.fake;
  const bare = contabo({
    credentials: async () => credentials,
    now: world.now,
    url,
    tokenUrl,
    installId: "k17exam0installation",
  });
  assert.deepEqual(await bare.offers(need, signal), []);
  assert.deepEqual(await world.provider.offers({ gpu: { count: 1, memoryMb: 1 } }, signal), []);
  await world.close();
});

test("plans are read as the owner writes them, and what cannot be read is named", () => {
  assert.deepEqual(parsePlans("V94:6:12000:100000:7.2:EUR:2026-11-21"), plans);
  assert.deepEqual(parsePlans(""), []);
  for (const wrong of ["V94", "V94:6:12000:100000:free:EUR:2026-11-21", "V94:6:12000:100000:7:EUR:2026-13-41"])
    assert.throws(
      () => parsePlans(`V94:6:12000:100000:7.2:EUR:2026-11-21 ${wrong}`),
      (error: { code?: string; message?: string }) => {
        assert.equal(error.code, "invalid");
        return error.message?.includes(`"${wrong}"`) === true;
      },
    );
});
