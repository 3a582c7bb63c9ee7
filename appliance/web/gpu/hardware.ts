import type { Offer } from "../../../convex/model/gpu.ts";
import { useSpeech } from "../language/language.tsx";

const gb = 1_000;

/** What a machine is, in a few words; a GPU that is made up is said to be. */
export function useHardware(): (offer: Offer) => string {
  const { gpu: words, gpuDetail: said } = useSpeech().words;
  return ({ provider, type, gpu, cpus, isSimulated }) =>
    [
      provider === "local" ? words.local : `${provider} ${type}`,
      ...(gpu ? [words.gpus(gpu.count, gpu.name, Math.round(gpu.memoryMb / gb), gpu.isSimulated === true)] : [words.cpus(cpus)]),
      ...(isSimulated === true ? [said.simulatedScenario] : []),
    ].join(" · ");
}
