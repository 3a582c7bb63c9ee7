/** Whether a machine is what was paid for, by what it says of itself when it dials in. What is not is refused, and ends. */
import type { MachineFacts } from "../../../convex/model/agent.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import { gpuName, isNamed } from "../gpuName.ts";

/** Drivers keep some of a GPU's memory, and vendors count in different thousands. */
const memoryShare = 0.92;

/** What is wrong with it, as one sentence; undefined when it will do. Machines that nobody rented are what they are. */
export function findFlaw({ provider, gpu }: Pick<Offer, "provider" | "gpu">, { gpus }: MachineFacts): string | undefined {
  if (!gpu || gpu.isSimulated === true || provider === "local" || provider === "ssh") return undefined;
  if (gpus.length < gpu.count)
    return gpus.length === 0
      ? `It shows no GPU, or its driver does not answer; ${gpu.count} x ${gpu.name} is paid for.`
      : `It shows ${gpus.length} GPUs; ${gpu.count} x ${gpu.name} are paid for.`;
  for (const [index, one] of gpus.entries()) {
    const name = gpuName(one.name, one.memoryMb);
    // Names that are not in our table may be spelt in two ways.
    if (name !== gpu.name && isNamed(one.name) && isNamed(gpu.name))
      return `Its GPU ${index} is ${article(name)} ${name}; ${article(gpu.name)} ${gpu.name} is paid for.`;
    if (one.memoryMb < gpu.memoryMb * memoryShare)
      return `Its GPU ${index} has ${gigabytes(one.memoryMb)} GB of memory; ${gigabytes(gpu.memoryMb)} GB are paid for.`;
    if ((one.memoryErrors ?? 0) > 0) return `Its GPU ${index} has ${one.memoryErrors} memory errors that could not be corrected.`;
    if (one.isRetiring === true) return `Its GPU ${index} has memory that is to be retired at its next start.`;
    if (one.isThrottled === true) return `Its GPU ${index} is slowed down by heat or lack of power before it did anything.`;
  }
  return undefined;
}

const gigabytes = (megabytes: number): number => Math.round(megabytes / 1_000);
const article = (name: string): string => (/^([AHL]\d|RTX)/.test(name) ? "an" : "a");
