/** What can be found out about an account at AWS without spending anything. */
import type { AccountCheck } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { newestImage, runRequest, tagKeys, type Ec2, type Image } from "./ec2.ts";
import { fromSdk } from "./failures.ts";
import { quotas, sageMaker, type AwsJson } from "./json.ts";
import type { Prices } from "./prices.ts";

export type CheckOptions = {
  readonly ec2: Ec2;
  readonly json: AwsJson;
  readonly prices: Prices;
  readonly regions: readonly string[];
  readonly hasTraining: boolean;
};

/** A kind of machine that every region of GPUs has, for asking what one may; nothing is made. */
const trialType = "g4dn.xlarge";
const nobody = "i-0123456789abcdef0";

export async function checkAws(
  { ec2, json, prices, regions, hasTraining }: CheckOptions,
  signal: AbortSignal,
): Promise<AccountCheck[]> {
  const [first = "us-east-1"] = regions;
  const checks: AccountCheck[] = [];
  const check = async (
    name: string,
    look: () => Promise<{ readonly passed: boolean; readonly says: string }>,
  ): Promise<boolean> => {
    const found = await look().catch((error: unknown) => ({ passed: false, says: sentenceOf(error) }));
    checks.push({ name, ...found });
    return found.passed;
  };

  const isIn = await check("key", async () => {
    const { Regions: all = [] } = await ec2.ask(
      first,
      (client, sdk, options) => client.send(new sdk.DescribeRegionsCommand({ AllRegions: true }), options),
      signal,
    );
    const off = regions.filter((name) => {
      const region = all.find(({ RegionName }) => RegionName === name);
      return region === undefined || region.OptInStatus === "not-opted-in";
    });
    return off.length === 0
      ? { passed: true, says: `The key is taken; ${regions.join(", ")} can be used.` }
      : { passed: false, says: `${off.join(", ")} is not turned on in this account: turn it on, or leave it out.` };
  });
  if (!isIn) return checks;

  await check("may create", async () => {
    const image = await newestImage(ec2, first, true, signal);
    const code = await dryRun(ec2, first, image, signal);
    return { passed: code.passed, says: code.passed ? "Machines may be made, with their tags." : code.says };
  });
  await check("may end", async () => {
    try {
      await ec2.raw(
        first,
        (client, sdk, options) =>
          client.send(new sdk.TerminateInstancesCommand({ InstanceIds: [nobody], DryRun: true }), options),
        signal,
      );
    } catch (error) {
      const { code, failure } = fromSdk(error, []);
      if (code !== "DryRunOperation" && failure.kind !== "missing") return { passed: false, says: failure.says };
    }
    return { passed: true, says: "Machines may be ended." };
  });
  await check("prices", async () => {
    const price = (await prices.onDemand(first, [trialType], signal)).get(trialType);
    return price
      ? { passed: true, says: `${trialType} costs $${(price.micros / 1_000_000).toFixed(3)} an hour in ${first}.` }
      : {
          passed: false,
          says: `The price list has no ${trialType} in ${first}: allow pricing:GetProducts, or use another region.`,
        };
  });
  for (const region of regions) await check(`quota ${region}`, async () => await gpuQuota(json, region, signal));
  if (hasTraining)
    await check("training", async () => {
      await json.ask([sageMaker, first, "ListTrainingJobs"], { MaxResults: 1 }, signal);
      return { passed: true, says: "SageMaker's training jobs can be listed; whether its role is right only a job tells." };
    });
  return checks;
}

/** The very request of a machine, with its tags, so that a policy that asks for tags is tried as it is. */
async function dryRun(
  ec2: Ec2,
  region: string,
  image: Image,
  signal: AbortSignal,
): Promise<{ readonly passed: boolean; readonly says: string }> {
  const intent = {
    name: "nika-00000000-000000000000-0",
    installId: "check",
    machineId: "check",
    token: "check",
    deadline: 0,
    diskMb: image.diskMb,
    publicKey: "",
    boot: "#cloud-config\n",
    offer: { type: trialType, region, isSpot: false, hourly: { micros: 0, currency: "USD" } } as never,
  };
  const { SecurityGroupIds: _group, ClientToken: _token, ...request } = runRequest(intent, image, "");
  try {
    await ec2.raw(
      region,
      (client, sdk, options) => client.send(new sdk.RunInstancesCommand({ ...request, DryRun: true }), options),
      signal,
    );
    return { passed: false, says: "AWS did not keep to asking only." };
  } catch (error) {
    const { code, failure } = fromSdk(error, []);
    if (code === "DryRunOperation") return { passed: true, says: "" };
    return {
      passed: false,
      says:
        failure.kind === "forbidden"
          ? `${failure.says} It needs ec2:RunInstances and ec2:CreateTags with ${tagKeys.install}.`
          : failure.says,
    };
  }
}

type Quota = { QuotaName?: string; QuotaCode?: string; Value?: number };

const gpuQuotas = /^(Running On-Demand (G and VT|P) instances|All (G and VT|P[\dP ,and]*) Spot Instance Requests)$/;

/** By name, because the codes of spot quotas were changed before. In processors: a machine counts as many as it has. */
async function gpuQuota(
  json: AwsJson,
  region: string,
  signal: AbortSignal,
): Promise<{ readonly passed: boolean; readonly says: string }> {
  const found: Quota[] = [];
  let next: string | undefined;
  do {
    const page = (await json.ask(
      [quotas, region, "ListServiceQuotas"],
      { ServiceCode: "ec2", MaxResults: 100, ...(next === undefined ? {} : { NextToken: next }) },
      signal,
    )) as { Quotas?: readonly Quota[]; NextToken?: string };
    found.push(...(page.Quotas ?? []).filter(({ QuotaName }) => gpuQuotas.test(QuotaName ?? "")));
    next = page.NextToken;
  } while (next !== undefined && next !== "");
  const open = found.filter(({ Value }) => (Value ?? 0) >= 4);
  if (open.length > 0)
    return { passed: true, says: `${region}: ${open.map((one) => `${one.QuotaName}: ${one.Value} processors`).join("; ")}.` };
  const named =
    found.length > 0
      ? found.map((one) => `${one.QuotaName} (${one.QuotaCode})`).join(", ")
      : "Running On-Demand G and VT instances (L-DB2E81BA)";
  return {
    passed: false,
    says: `${region}: no machine with a GPU may be made. Ask AWS under Service Quotas, EC2, to raise one of: ${named}.`,
  };
}

const sentenceOf = (error: unknown): string =>
  error instanceof ProviderError ? error.failure.says : "It could not be looked at.";
