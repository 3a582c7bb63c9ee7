/** The GPUs of this machine, as `nvidia-smi` tells them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { GpuFact } from "../../../convex/model/agent.ts";
import { gpuName } from "../gpuName.ts";

const run = promisify(execFile);
const fields = "name,uuid,memory.total,driver_version,compute_cap";

/** None where there is no NVIDIA driver. */
export async function findGpus(program = "nvidia-smi"): Promise<readonly GpuFact[]> {
  const { stdout } = await run(program, [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], { timeout: 10_000 }).catch(
    () => ({ stdout: "" }),
  );
  return toGpus(stdout);
}

/** From its table of comma-separated values, one GPU a line, memory in MiB. */
export function toGpus(text: string): readonly GpuFact[] {
  return text
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()))
    .flatMap(([name = "", uuid = "", memory, driver = "", compute = ""]): GpuFact[] => {
      const mib = Number(memory);
      if (name === "" || !(mib > 0)) return [];
      return [{ name, uuid, memoryMb: Math.round(mib * 1.048576), driver, ...(/^\d/.test(compute) && { compute }) }];
    });
}

/** As offers name them. */
export const shortName = (gpu: GpuFact): string => gpuName(gpu.name, gpu.memoryMb);
