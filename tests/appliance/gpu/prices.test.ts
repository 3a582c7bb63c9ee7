/** Lists of prices are read live and held; while one cannot be read, what was read today stands, with the time it was read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openAws } from "../../../appliance/gpu/aws/aws.ts";
import { openAzure } from "../../../appliance/gpu/azure/azure.ts";
import { openGoogle } from "../../../appliance/gpu/google/google.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { openAwsEmulator } from "../../fakes/gpu/aws.ts";
import { openAzureEmulator } from "../../fakes/gpu/azure.ts";
import type { Lying } from "../../fakes/gpu/fault.ts";
import { openGoogleEmulator } from "../../fakes/gpu/google.ts";

const signal = AbortSignal.timeout(60_000);
const hour = 3_600_000;
type Opening = (now: () => number) => Promise<{ provider: Provider; lying: Lying; close(): Promise<void> }>;

const vendors: Readonly<Record<string, Opening>> = {
  async aws(now) {
    const fake = await openAwsEmulator({ now });
    return { ...fake, provider: openAws({ ...fake.key, regions: ["eu-west-3"], now, url: fake.url }) };
  },
  async google(now) {
    const fake = await openGoogleEmulator({ now });
    const { serviceAccount, url } = fake;
    return { ...fake, provider: openGoogle({ serviceAccount, regions: ["europe-west4"], now, url }) };
  },
  async azure(now) {
    const fake = await openAzureEmulator({ now });
    const sleep = (): Promise<void> => Promise.resolve();
    return { ...fake, provider: openAzure({ ...fake.key, regions: ["westeurope"], now, sleep, url: fake.url }) };
  },
};

for (const [name, open] of Object.entries(vendors))
  test(`${name}: prices are read anew after six hours; what was read today outlives a list that is down, and tomorrow does not`, async (t) => {
    const begun = Date.parse("2026-11-21T00:00:00Z");
    let at = begun;
    const { provider, lying, close } = await open(() => at);
    t.after(close);
    const pricedAt = async (): Promise<number | undefined> =>
      (await provider.offers({ gpu: { count: 1, memoryMb: 10_000 } }, signal))[0]?.pricedAt;
    assert.equal(await pricedAt(), begun);
    at += 5 * hour;
    assert.equal(await pricedAt(), begun, "held");
    at += 2 * hour;
    lying.set("pricesDown");
    assert.equal(await pricedAt(), begun, "no other is to be had, and it is dated");
    lying.clear("pricesDown");
    assert.equal(await pricedAt(), begun + 7 * hour);
    at += 25 * hour;
    lying.set("pricesDown");
    await assert.rejects(pricedAt(), { name: "ProviderError" });
  });
