/** What can be found out about a subscription at Azure without spending anything. */
import type { AccountCheck } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { isRecord, numberOf, textOf } from "../record.ts";
import { versions, type Arm } from "./arm.ts";
import { kindsIn, type Prices } from "./offers.ts";

export type CheckOptions = {
  readonly arm: Arm;
  readonly prices: Prices;
  readonly subscription: string;
  readonly regions: readonly string[];
  readonly workspace: string | undefined;
};

const actions = [
  "Microsoft.Resources/subscriptions/resourceGroups/read",
  "Microsoft.Resources/subscriptions/resourceGroups/write",
  "Microsoft.Resources/subscriptions/resourceGroups/delete",
  "Microsoft.Compute/virtualMachines/read",
  "Microsoft.Compute/virtualMachines/write",
  "Microsoft.Compute/virtualMachines/delete",
  "Microsoft.Compute/skus/read",
  "Microsoft.Network/networkSecurityGroups/write",
  "Microsoft.Network/networkSecurityGroups/join/action",
  "Microsoft.Network/virtualNetworks/write",
  "Microsoft.Network/virtualNetworks/subnets/join/action",
  "Microsoft.Network/publicIPAddresses/read",
  "Microsoft.Network/publicIPAddresses/write",
  "Microsoft.Network/networkInterfaces/write",
];
const needed = ["Microsoft.Compute", "Microsoft.Network"];

type Found = { readonly passed: boolean; readonly says: string };

export async function checkAzure(options: CheckOptions, signal: AbortSignal): Promise<AccountCheck[]> {
  const { arm, prices, subscription, regions, workspace } = options;
  const checks: AccountCheck[] = [];
  const check = async (name: string, look: () => Promise<Found>): Promise<boolean> => {
    const found = await look().catch((error: unknown) => ({
      passed: false,
      says: error instanceof ProviderError ? error.failure.says : "It could not be looked at.",
    }));
    checks.push({ name, ...found });
    return found.passed;
  };

  const isIn = await check("key", async () => {
    const { body } = await arm.ask({ method: "GET", path: `${subscription}?api-version=2022-12-01` }, signal);
    const state = isRecord(body) ? textOf(body["state"]) : "";
    return state === "Enabled"
      ? { passed: true, says: `The secret is taken; the subscription is ${isRecord(body) ? textOf(body["displayName"]) : ""}.` }
      : { passed: false, says: `The subscription is ${state || "not readable"}: it must be enabled.` };
  });
  if (!isIn) return checks;

  await check("permissions", async () => {
    const path = `${subscription}/providers/Microsoft.Authorization/permissions?api-version=${versions.roles}`;
    const held = await Array.fromAsync(arm.all(path, signal));
    const missing = actions.filter((action) => !held.some((one) => allows(one, action)));
    return missing.length === 0
      ? { passed: true, says: "The application may do all that is needed." }
      : { passed: false, says: `The application lacks ${missing.join(", ")}: give it a role with them.` };
  });
  await check("providers", async () => {
    const states = await Promise.all(
      needed.map(
        async (name) =>
          [name, await arm.find(`${subscription}/providers/${name}?api-version=${versions.groups}`, signal)] as const,
      ),
    );
    const off = states.filter(([, found]) => found?.["registrationState"] !== "Registered").map(([name]) => name);
    return off.length === 0
      ? { passed: true, says: `${needed.join(" and ")} are registered.` }
      : { passed: false, says: `Register ${off.join(" and ")} in the subscription, under Resource providers.` };
  });
  for (const region of regions) {
    await check(`quota ${region}`, async () => await gpuQuota(arm, subscription, region, signal));
    await check(`kinds ${region}`, async () => {
      const first = (await kindsIn(arm, subscription, region, signal)).find(({ gpu }) => gpu);
      if (!first)
        return { passed: false, says: `${region}: Azure lets no machine with a GPU to this subscription; use another region.` };
      const price = (await prices.of(region, [first.type], signal)).get(first.type)?.micros;
      return price === undefined
        ? { passed: false, says: `${region}: the price list tells nothing of ${first.type}.` }
        : { passed: true, says: `${region}: ${first.type} costs $${(price / 1_000_000).toFixed(3)} an hour.` };
    });
  }
  if (workspace !== undefined)
    await check("workspace", async () => {
      const found = await arm.find(`${workspace}?api-version=${versions.learning}`, signal);
      return found
        ? { passed: true, says: "The workspace for jobs is there." }
        : { passed: false, says: "There is no such workspace of Azure Machine Learning." };
    });
  return checks;
}

/** Actions may hold stars, and what is taken away counts more than what is given. */
function allows(held: Record<string, unknown>, action: string): boolean {
  const isIn = (name: string): boolean =>
    (Array.isArray(held[name]) ? held[name] : []).some(
      (pattern) =>
        typeof pattern === "string" &&
        new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("*", ".*")}$`, "i").test(action),
    );
  return isIn("actions") && !isIn("notActions");
}

async function gpuQuota(arm: Arm, subscription: string, region: string, signal: AbortSignal): Promise<Found> {
  const usages = await Array.fromAsync(
    arm.all(`${subscription}/providers/Microsoft.Compute/locations/${region}/usages?api-version=${versions.compute}`, signal),
  );
  const named = usages.map((one) => ({
    name: isRecord(one["name"]) ? textOf(one["name"]["localizedValue"]) : "",
    left: numberOf(one["limit"]) - numberOf(one["currentValue"]),
    limit: numberOf(one["limit"]),
  }));
  const families = named.filter(({ name }) => /\bN[CDV]\w* Family|\bStandard N[CDV]/.test(name));
  const open = families.filter(({ left }) => left >= 4);
  if (open.length > 0)
    return {
      passed: true,
      says: `${region}: ${open.map(({ name, left, limit }) => `${name}: ${left} of ${limit} left`).join("; ")}.`,
    };
  const asks =
    families.length > 0
      ? families
          .map(({ name }) => name)
          .slice(0, 6)
          .join(", ")
      : "Standard NCASv3_T4 Family vCPUs";
  return {
    passed: false,
    says: `${region}: no machine with a GPU may be made. Ask Azure, under Quotas, to raise one of: ${asks}.`,
  };
}
