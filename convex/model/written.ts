/** What a language model wrote about the owner's passages, kept so that the same data makes the same pairs. */
import { v, type Infer } from "convex/values";
import { vPassageName } from "./use.ts";

/** Without questions when there was nothing of use in the answer: it is not asked again. */
export const vWritten = v.object({
  ...vPassageName.fields,
  /** Of the passage's text then. */
  textDigest: v.string(),
  /** Which model wrote it: "qwen3:8b at 127.0.0.1". */
  model: v.string(),
  questions: v.array(v.string()),
  /** A passage that looks as if it answered them and does not. */
  wrong: v.optional(v.string()),
});
export type Written = Infer<typeof vWritten>;

/** What the owner asked for. */
export const vWriting = v.object({
  /** Passages that a language model may be asked about, at most. */
  passagesMax: v.number(),
  /** Whether passages may go to a language model on another machine. */
  sends: v.boolean(),
});
export type Writing = Infer<typeof vWriting>;

export const writingPassagesMax = 2_000;
