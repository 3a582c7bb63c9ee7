import type { ModelResult } from "../../convex/model/model.ts";
import type { Writing } from "../../convex/model/written.ts";
import type { Ports } from "../define.ts";
import { rememberedOf } from "./history.ts";
import { writtenOf } from "./write.ts";

type Asked = { readonly isScrubbed: boolean; readonly until: number; readonly writing?: Writing | undefined };
type Gathering = {
  readonly passagesMax: number;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number) => void;
};

/**
 * All that a training learns from: what was remembered until then, and what a language model wrote where the owner asked for it. `told` adds to a
 * result that it stopped writing before its end, when it did.
 */
export async function materialOf(
  { isScrubbed, until, writing }: Asked,
  { state, vectors, languageModel }: Pick<Ports, "state" | "vectors" | "languageModel">,
  { passagesMax, signal, progress }: Gathering,
) {
  const remembered = await rememberedOf({ state, vectors }, { passagesMax, signal, until });
  const options = { state, languageModel, writing, isScrubbed, until, signal, progress };
  const { written, stopped } = await writtenOf(remembered, options);
  const told = (result: ModelResult): ModelResult =>
    stopped === undefined ? result : { ...result, says: `${result.says} ${stopped}` };
  return { material: { ...remembered, written }, told };
}
