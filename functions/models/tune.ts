import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { LoraWish } from "../../convex/model/model.ts";
import { defineFunction } from "../define.ts";
import type { Payload } from "../ports/gpu.ts";
import { materialOf } from "./material.ts";

/** Each is embedded by the live model and by the new one: of more, a machine of two cores would be at it for hours. */
const passagesMax = 20_000;
/** A base of 110 million numbers with its gradients at batches of 64, and a card that every provider has. */
const gpu = { count: 1, memoryMb: 15_000 };
/** What the libraries take unpacked, and the training itself. */
const least = { diskMb: 12_000, memoryMb: 4_000 };
const runMsMax = 6 * 3_600_000;
const nothing = { micros: 0, currency: "EUR" } as const;

/**
 * Trains beside a base, as a job of a machine that has what it takes, judges what comes back and writes it down. Doing it again goes on with
 * what runs, or with what came back. Where it may cost nothing, any machine of the owner's will do, this one included.
 */
export const tuneModel = defineFunction({
  kind: "models.tune",
  needs: ["state", "vectors", "trainer", "tuner", "gpu", "languageModel"],
  run: async ({ args: { modelId }, signal, progress }, { state, vectors, trainer, tuner, gpu: jobs, languageModel }) => {
    if (!tuner || !jobs) throw new NikaError("unavailable", "No model can be trained on another machine from here.");
    const asked = await state.query(internal.models.get, { modelId });
    if (!asked?.lora) return { type: "done" };
    const { seed, isScrubbed, lora } = asked;
    const { material, told } = await materialOf(asked, { state, vectors, languageModel }, { passagesMax, signal, progress });
    const tuning = { modelId, seed, isScrubbed, ...material, ...(lora.base !== undefined && { base: lora.base }) };
    const packed = await tuner.pack(tuning, { signal });
    let result;
    if (packed.type === "refused") result = packed.result;
    else {
      const output = (line: string): void => {
        const far = progressOf(line);
        if (far) progress(far.step, far.steps);
      };
      const { folder, facts } = await jobs.run(payloadOf(modelId, packed, lora), { signal, output });
      result = await tuner.judge({ modelId, folder, facts }, { signal });
    }
    result = told(result);
    signal.throwIfAborted();
    await state.mutation(internal.models.finish, { modelId, result });
    await tuner.drop(modelId);
    await trainer?.tidy(await state.query(internal.models.files, {}));
    return { type: "done", result: { type: "said", text: result.says } };
  },
});

const payloadOf = (
  modelId: string,
  { folder, command }: { readonly folder: string; readonly command: readonly string[] },
  { base, costMax }: LoraWish,
): Payload => ({
  key: `models.tune ${modelId}`,
  label: `a model of your own beside ${base ?? "the usual base"}`,
  folder,
  command,
  need: costMax ? { ...least, gpu } : least,
  runMsMax,
  costMax: costMax ?? nothing,
});

/** Of a line of the payload's output: how far it is. Anything else is for the job's log. */
function progressOf(line: string): { step: number; steps: number } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { type, step, steps } = JSON.parse(line) as Record<string, unknown>;
    return type === "progress" && typeof step === "number" && typeof steps === "number" ? { step, steps } : undefined;
  } catch {
    return undefined;
  }
}
