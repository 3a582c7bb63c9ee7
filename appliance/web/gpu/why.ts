import type { Failure } from "../../../convex/model/gpu.ts";
import type { GpuProblem } from "../../../convex/model/gpuJob.ts";
import { useSpeech } from "../language/language.tsx";

type Why = {
  /** Why work waits or ended, in the page's language; what is older than codes for it, as it was written down. */
  readonly problem: (problem: GpuProblem) => string;
  /** What a provider answered: in the page's language what kind of refusal it is, then its own words. */
  readonly failure: (failure: Failure) => string;
};

export function useWhy(): Why {
  const { gpuDetail: said } = useSpeech().words;
  return {
    problem: ({ what, message, count = 0, why }) => {
      if (what === undefined) return message;
      if (what === "exited") return said.exited(count);
      if (what === "machinesLost") return said.machinesLost(count, why === undefined ? "" : said.reasons[why]);
      return said.problems[what];
    },
    failure: ({ kind, says }) => said.failure(said.failures[kind], says),
  };
}
