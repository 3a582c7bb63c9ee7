/** What the machine is and how its GPUs do. */
import { spawnSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { availableParallelism, freemem, release, totalmem, type as systemType } from "node:os";
import type { Beat, GpuFact, MachineFacts } from "../../../../convex/model/agent.ts";
import type { Setting } from "./setting.ts";

const smiFields = "name,uuid,memory.total,driver_version,compute_cap";
/** Asked apart: a driver that does not know one of these answers none of them. */
const smiHealth =
  "ecc.errors.uncorrected.volatile.total,retired_pages.pending,clocks_throttle_reasons.hw_thermal_slowdown,clocks_throttle_reasons.hw_power_brake_slowdown";
const smiUse = "utilization.gpu,memory.used,temperature.gpu";
let hasSmi: boolean | undefined;

/** Rows of `nvidia-smi`'s answer; none where there is no such program. */
function smi(setting: Setting, fields: string): string[][] {
  if (setting.simulatedGpus !== undefined) {
    const made = JSON.parse(setting.simulatedGpus) as { name: string; memoryMb: number; count: number };
    const row = fields === smiFields ? [made.name, "GPU-simulated", String(made.memoryMb), "simulated", "0.0"] : ["0", "0", "0"];
    return Array.from({ length: made.count }, () => row);
  }
  if (hasSmi === false) return [];
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], {
    encoding: "utf8",
    timeout: 10_000,
  });
  if (fields !== smiHealth) hasSmi = status === 0;
  if (status !== 0) return [];
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()));
}

/** nvidia-smi counts in MiB, we in MB. */
const toMb = (mib: string | undefined): number => Math.round((Number(mib) || 0) * 1.048576);

export function factsOf(setting: Setting): MachineFacts {
  const found = smi(setting, smiFields);
  const health = setting.simulatedGpus === undefined && found.length > 0 ? smi(setting, smiHealth) : [];
  const gpus = found.map(([name = "", uuid = "", memory, driver = "", compute], index): GpuFact => ({
    name,
    uuid,
    memoryMb: setting.simulatedGpus === undefined ? toMb(memory) : Number(memory),
    driver,
    ...(compute !== undefined && /^\d/.test(compute) && { compute }),
    ...healthOf(health[index]),
  }));
  return {
    gpus,
    ...(setting.simulatedGpus !== undefined && { isSimulated: true }),
    cpus: availableParallelism(),
    memoryMb: Math.round(totalmem() / 1e6),
    diskFreeMb: diskFreeMb(setting.folder),
    system: `${systemType()} ${release()}`,
  };
}

/** What is not told ("[N/A]") is left out. */
function healthOf([errors = "", retiring, hot, starved]: readonly string[] = []): Partial<GpuFact> {
  const isThrottled = hot === "Active" || starved === "Active";
  return {
    ...(/^\d+$/.test(errors) && { memoryErrors: Number(errors) }),
    ...(retiring === "Yes" && { isRetiring: true }),
    ...(isThrottled && { isThrottled }),
  };
}

export function gpuUse(setting: Setting): Beat["gpus"] {
  return smi(setting, smiUse).map(([use, memory, celsius]) => ({
    usePercent: Number(use) || 0,
    memoryMb: toMb(memory),
    ...(Number.isFinite(Number(celsius)) && { celsius: Number(celsius) }),
  }));
}

export function diskFreeMb(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return Math.round((bavail * bsize) / 1e6);
  } catch {
    return Math.round(freemem() / 1e6);
  }
}
