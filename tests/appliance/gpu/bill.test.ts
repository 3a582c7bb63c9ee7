/** What vendors bill, read by their own clients from emulators that keep the vendors' books, and lie about them as vendors do. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openAws } from "../../../appliance/gpu/aws/aws.ts";
import { openAzure } from "../../../appliance/gpu/azure/azure.ts";
import { contabo } from "../../../appliance/gpu/contabo/contabo.ts";
import { openGoogle } from "../../../appliance/gpu/google/google.ts";
import { runpod } from "../../../appliance/gpu/runpod/runpod.ts";
import { scaleway } from "../../../appliance/gpu/scaleway/scaleway.ts";
import { compareBill, periodsToRead, type BillRow, type Use } from "../../../convex/model/bill.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { examIntent } from "../../contracts/gpuProvider.ts";
import { openAwsEmulator } from "../../fakes/gpu/aws.ts";
import { openAzureEmulator } from "../../fakes/gpu/azure.ts";
import type { Lying } from "../../fakes/gpu/fault.ts";
import { openGoogleEmulator } from "../../fakes/gpu/google.ts";
import { openFakeRunpod } from "../../fakes/gpu/runpod.ts";
import { openFakeScaleway } from "../../fakes/gpu/scaleway.ts";

const signal = AbortSignal.timeout(60_000);
const hour = 3_600_000;
const begun = Date.parse("2026-11-20T22:00:00Z");

type World = { readonly provider: Provider; readonly lying: Lying; readonly url?: string; close(): Promise<void> };
type Opening = (now: () => number) => Promise<World>;

const vendors: Readonly<Record<string, Opening>> = {
  async runpod(now) {
    const fake = await openFakeRunpod({ now });
    const provider = runpod({ credentials: async () => ({ apiKey: fake.apiKey }), now, url: fake.url, runUrl: fake.url });
    return { provider, lying: fake.lying, close: fake.close };
  },
  async scaleway(now) {
    const fake = await openFakeScaleway({ now });
    const provider = scaleway({ credentials: async () => fake.credentials, now, url: fake.url, zones: ["fr-par-2"] });
    return { provider, lying: fake.lying, close: fake.close };
  },
  async aws(now) {
    const fake = await openAwsEmulator({ now });
    const provider = openAws({ ...fake.key, regions: ["eu-west-3"], hasCostExplorer: true, now, url: fake.url });
    return { provider, lying: fake.lying, close: fake.close };
  },
  async google(now) {
    const fake = await openGoogleEmulator({ now });
    const { serviceAccount, url } = fake;
    const billingTable = "nika.billing.gcp_billing_export_v1_0";
    const provider = openGoogle({ serviceAccount, regions: ["europe-west4"], billingTable, now, url });
    return { provider, lying: fake.lying, close: fake.close };
  },
  async azure(now) {
    const fake = await openAzureEmulator({ now });
    const sleep = (): Promise<void> => Promise.resolve();
    const provider = openAzure({ ...fake.key, regions: ["westeurope"], now, sleep, url: fake.url });
    return { provider, lying: fake.lying, close: fake.close };
  },
};

/** A machine of ours ran for five hours across midnight, is gone, and days went by. Its use as the control plane would know it. */
async function ranOne(
  t: TestContext,
  open: Opening,
): Promise<World & { use: Use; now: () => number; move: (ms: number) => void }> {
  let at = begun;
  const now = (): number => at;
  const world = await open(now);
  t.after(world.close);
  const { provider, lying } = world;
  const [offer] = await provider.offers({ gpu: { count: 1, memoryMb: 10_000 } }, signal);
  assert.ok(offer);
  // Its time is longer than it runs: some vendors end it by themselves.
  const made = await provider.create(examIntent(offer, now() + 11 * hour), signal);
  assert.equal(made.type, "created");
  const move = (ms: number): void => {
    at += ms;
    lying.pass();
  };
  move(5 * hour);
  for (let round = 0; round < 4; round += 1) {
    await provider.terminate(made.observed.ref, signal);
    move(60_000);
  }
  const use = { id: made.observed.ref.id, from: begun, to: now(), cost: { ...offer.hourly, micros: offer.hourly.micros * 5 } };
  return { ...world, use, now, move };
}

async function rows(provider: Provider, uses: readonly Use[], now: number): Promise<BillRow[]> {
  const terms = provider.billTerms!;
  const periods = periodsToRead(terms, now);
  const read = await provider.bill!(periods, signal);
  const { installId } = examIntent({} as never, 0);
  const known = { provider: provider.id, terms, read, uses, installId, foreign: new Set<string>(), now };
  return periods.map((period) => compareBill({ ...known, period }));
}

for (const [name, open] of Object.entries(vendors)) {
  const isMonthly = name === "scaleway";
  /** An hour after all of the days in question has to be on the bill. */
  const settled = (provider: Provider): number =>
    Date.parse(isMonthly ? "2026-12-01" : "2026-11-22") + provider.billTerms!.lagMs + hour;
  const last = isMonthly ? "2026-11" : "2026-11-21";

  test(`${name}: what was billed agrees with what is known, over midnight and when all of it is told`, async (t) => {
    const { provider, use, now, move } = await ranOne(t, open);
    move(settled(provider) - now());
    const row = (await rows(provider, [use], now())).find(({ period }) => period === last);
    assert.ok(row && row.billed > 500_000 && row.verdict === "agrees", JSON.stringify(row));
  });

  test(`${name}: what nobody here knows of is too much, and what has not come yet is no mistake`, async (t) => {
    const { provider, lying, use, now, move } = await ranOne(t, open);
    move(2 * hour);
    lying.set("billLate");
    for (const row of await rows(provider, [use], now()))
      if (row.period >= "2026-11-2" || isMonthly) assert.equal(row.verdict, "open", JSON.stringify(row));
    lying.clear("billLate");
    const lost = await rows(provider, [], now());
    assert.ok(lost.some(({ verdict, billed, known }) => verdict === "more" && billed > 1_000_000 && known === 0));
    if (name === "runpod") assert.deepEqual(lost.find(({ verdict }) => verdict === "more")?.unknown.length, 1);
  });

  test(`${name}: hours that never come are told as less, and are no alarm`, async (t) => {
    const { provider, lying, use, now, move } = await ranOne(t, open);
    lying.set("billMissesHours");
    move(settled(provider) - now());
    const row = (await rows(provider, [use], now())).find(({ period }) => period === last);
    assert.ok(row && row.known > 1_000_000 && row.verdict === "less", JSON.stringify(row));
  });

  test(`${name}: a bill in another currency is not compared`, async (t) => {
    const { provider, lying, use, now, move } = await ranOne(t, open);
    if (!lying.can.includes("billOtherCurrency")) return t.skip("it bills in dollars alone");
    lying.set("billOtherCurrency");
    move(hour);
    const told = (await rows(provider, [use], now())).filter(({ billed }) => billed > 0);
    assert.ok(told.length > 0 && told.every(({ verdict, currency }) => verdict === "unclear" && currency === "GBP"));
  });

  test(`${name}: a bill that cannot be read fails in a sentence`, async (t) => {
    const { provider, lying } = await ranOne(t, open);
    for (const fault of ["down", "keyRevoked"] as const) {
      lying.set(fault);
      await assert.rejects(provider.bill!(["2026-11-20"], signal), { name: "ProviderError" });
      lying.clear(fault);
    }
  });
}

test("a vendor whose bill no program can read says so, and what it would take", () => {
  const now = (): number => begun;
  const key = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "secret-of-aws" };
  const aws = openAws({ ...key, regions: ["eu-west-3"], now });
  const other = contabo({ credentials: async () => ({}) as never, now, installId: "k17exam0" });
  for (const { billTerms, bill } of [aws, other]) {
    assert.equal(billTerms?.grain, "none");
    assert.match(billTerms.says, /^[A-Z].{20,}\.$/);
    assert.equal(bill, undefined);
  }
});
