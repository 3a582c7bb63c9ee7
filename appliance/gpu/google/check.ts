/** What can be found out about a project at Google Cloud without spending anything. */
import type { AccountCheck } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import type { Rest } from "./rest.ts";
import type { Skus } from "./skus.ts";

export type CheckOptions = {
  readonly rest: Rest;
  readonly base: string;
  /** Of the project, where permissions are asked about. */
  readonly projectUrl: string;
  readonly skus: Skus;
  readonly regions: readonly string[];
  readonly hasTraining: boolean;
};

const permissions = [
  "compute.instances.create",
  "compute.instances.delete",
  "compute.instances.get",
  "compute.instances.list",
  "compute.instances.setLabels",
  "compute.instances.setMetadata",
  "compute.instances.getSerialPortOutput",
  "compute.disks.create",
  "compute.disks.delete",
  "compute.disks.list",
  "compute.disks.setLabels",
  "compute.subnetworks.use",
  "compute.subnetworks.useExternalIp",
  "compute.machineTypes.list",
  "compute.zoneOperations.get",
];
const trainingPermissions = ["aiplatform.customJobs.create", "aiplatform.customJobs.cancel", "aiplatform.customJobs.list"];

type Found = { readonly passed: boolean; readonly says: string };

export async function checkGoogle(options: CheckOptions, signal: AbortSignal): Promise<AccountCheck[]> {
  const { rest, base, projectUrl, skus, regions, hasTraining } = options;
  const checks: AccountCheck[] = [];
  const check = async (name: string, look: () => Promise<Found>): Promise<boolean> => {
    const found = await look().catch((error: unknown) => ({
      passed: false,
      says: error instanceof ProviderError ? error.failure.says : "It could not be looked at.",
    }));
    checks.push({ name, ...found });
    return found.passed;
  };

  let project: Record<string, unknown> = {};
  const isIn = await check("key", async () => {
    const { body } = await rest.ask({ method: "GET", path: base }, signal);
    project = isRecord(body) ? body : {};
    return { passed: true, says: `The key is taken; the project is ${textOf(project["name"])}.` };
  });
  if (!isIn) return checks;

  await check("permissions", async () => {
    const asked = hasTraining ? [...permissions, ...trainingPermissions] : permissions;
    const { body } = await rest.ask(
      { method: "POST", path: `${projectUrl}:testIamPermissions`, json: { permissions: asked } },
      signal,
    );
    const held = isRecord(body) && Array.isArray(body["permissions"]) ? body["permissions"] : [];
    const missing = asked.filter((one) => !held.includes(one));
    return missing.length === 0
      ? { passed: true, says: "The service account may do all that is needed." }
      : { passed: false, says: `The service account lacks ${missing.join(", ")}: give it a role with them.` };
  });
  await check("quota all regions", () => {
    const quota = (recordsIn(project, "quotas") ?? []).find((one) => one["metric"] === "GPUS_ALL_REGIONS");
    return Promise.resolve(
      quota && numberOf(quota["limit"]) > 0
        ? { passed: true, says: `GPUS_ALL_REGIONS: ${numberOf(quota["usage"])} of ${numberOf(quota["limit"])} GPUs used.` }
        : {
            passed: false,
            says: "No GPU may be made in any region: ask Google to raise the quota GPUS_ALL_REGIONS (GPUs, all regions).",
          },
    );
  });
  for (const region of regions) await check(`quota ${region}`, async () => await regionQuota(rest, base, region, signal));
  await check("prices", async () => {
    const [region = ""] = regions;
    const micros = await skus.machine({ family: "N1 Predefined", cpus: 1, memoryGib: 1 }, region, false, signal);
    return micros === undefined
      ? {
          passed: false,
          says: `The catalog of prices tells nothing of ${region}: turn on the Cloud Billing API in this project.`,
        }
      : { passed: true, says: "Prices can be read." };
  });
  return checks;
}

async function regionQuota(rest: Rest, base: string, region: string, signal: AbortSignal): Promise<Found> {
  const { body } = await rest.ask({ method: "GET", path: `${base}/regions/${encodeURIComponent(region)}` }, signal);
  const gpus = (recordsIn(body, "quotas") ?? []).filter((one) => /^(PREEMPTIBLE_)?NVIDIA_.*GPUS$/.test(textOf(one["metric"])));
  const open = gpus.filter((one) => numberOf(one["limit"]) > numberOf(one["usage"]));
  if (open.length > 0)
    return {
      passed: true,
      says: `${region}: ${open.map((one) => `${textOf(one["metric"])} ${numberOf(one["usage"])} of ${numberOf(one["limit"])}`).join(", ")}.`,
    };
  const named = gpus.length > 0 ? gpus.map((one) => textOf(one["metric"])).join(", ") : "NVIDIA_L4_GPUS";
  return { passed: false, says: `${region}: no GPU may be made. Ask Google to raise one of the quotas ${named} there.` };
}
