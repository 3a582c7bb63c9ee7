/** Has a language model write questions about passages, where the owner asked for it, and keeps what it wrote. */
import { setTimeout as delay } from "node:timers/promises";
import type { FunctionReturnType } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { Writing, Written } from "../../convex/model/written.ts";
import { nameOf, type DatasetPassage } from "../../ml/dataset/pair.ts";
import { scrub } from "../../ml/dataset/scrub.ts";
import { digestOfText, passagesToAskAbout, prompt, readAnswer, textToSend } from "../../ml/dataset/written.ts";
import type { LanguageModel } from "../ports/languageModel.ts";
import type { State } from "../ports/state.ts";
import type { Remembered } from "../ports/trainer.ts";

/** The same for a training; nothing where the owner did not ask for it. */
export async function writtenOf(
  { passages, scopes }: Pick<Remembered, "passages" | "scopes">,
  { writing, ...options }: Omit<WriteOptions, "passages" | "writing"> & { readonly writing: Writing | undefined },
): Promise<Awaited<ReturnType<typeof writeQuestions>>> {
  if (!writing) return { written: [] };
  const may = passages.filter(({ scope }) => scopes.includes(scope));
  return await writeQuestions({ ...options, writing, passages: may });
}

type Page = FunctionReturnType<typeof internal.written.page>;

type WriteOptions = {
  readonly state: State;
  readonly languageModel: LanguageModel | undefined;
  /** Those that may be learned from; of no other a word goes out. */
  readonly passages: readonly DatasetPassage[];
  readonly writing: Writing;
  readonly isScrubbed: boolean;
  /** What was written later is not looked at, and what is written now is of that time. */
  readonly until: number;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number) => void;
  /** Before a model that does not answer is asked once more, ms. */
  readonly pausesMs?: readonly number[];
};

const rowsPerPage = 200;
const askedAtOnce = 2;
const pausesDefault = [2_000, 10_000, 30_000];

/**
 * All that was written about these passages, after some more of them were asked about. A model that stops answering is let go: what it wrote
 * until then is kept, and `stopped` says why. Fails with `invalid` when none is configured, or the passages would leave the machine and
 * the owner did not say so, and with `denied` or `invalid` as the model does.
 */
async function writeQuestions(options: WriteOptions): Promise<{ written: readonly Written[]; stopped?: string }> {
  const { state, languageModel, passages, writing, until, signal, progress } = options;
  const kept = await keptUntil(state, until, signal);
  if (writing.passagesMax === 0) return { written: inOrder(kept) };
  if (!languageModel)
    throw new NikaError("invalid", "No language model is configured; set NIKA_LLM_URL and NIKA_LLM_MODEL, or leave --write out.");
  const known = new Map(kept.map((one) => [nameOf(one), one.textDigest]));
  const todo = passagesToAskAbout(passages, writing.passagesMax).filter(
    (passage) => known.get(nameOf(passage)) !== digestOfText(passage.text),
  );
  if (todo.length > 0 && !languageModel.isHere && !writing.sends)
    throw new NikaError(
      "invalid",
      `${languageModel.label} is another machine: ${todo.length} passages would leave this one. Say --send if they may.`,
    );
  const made: Written[] = [];
  let stopped: string | undefined;
  const queue = [...todo];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next && stopped === undefined; next = queue.shift()) {
      signal.throwIfAborted();
      const answer = await about(next, { ...options, languageModel });
      if (typeof answer === "string") return void (stopped ??= answer);
      made.push(answer);
      await state.mutation(internal.written.keep, { at: until, written: [answer] });
      progress(made.length, todo.length);
    }
  };
  await Promise.all(Array.from({ length: askedAtOnce }, work));
  return {
    written: inOrder([...kept, ...made]),
    ...(stopped !== undefined && { stopped: `${stopped} ${made.length} of ${todo.length} passages were asked about.` }),
  };
}

const inOrder = (written: readonly Written[]): Written[] =>
  written.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));

/** What was written about a passage, with no question when there is nothing of use; or why there is no answer. */
async function about(
  passage: DatasetPassage,
  { languageModel, isScrubbed, signal, pausesMs = pausesDefault }: WriteOptions & { readonly languageModel: LanguageModel },
): Promise<Written | string> {
  const { documentId, ordinal, text } = passage;
  const sent = textToSend(passage);
  const asked = prompt(isScrubbed ? (await scrub(sent)).text : sent);
  for (const pause of [...pausesMs, undefined]) {
    try {
      const answer = await languageModel.write(asked, signal);
      const read = answer.type === "written" && !answer.isCut ? readAnswer(answer.text, passage) : undefined;
      const found = read ?? { questions: [] };
      return {
        documentId,
        ordinal,
        textDigest: digestOfText(text),
        model: languageModel.label,
        ...found,
        questions: [...found.questions],
      };
    } catch (error) {
      signal.throwIfAborted();
      if (!isNikaError(error) || error.code !== "unavailable") throw error;
      if (pause === undefined) return error.message;
      await delay(pause, undefined, { signal });
    }
  }
  throw new NikaError("bug", "The last try has no pause.");
}

async function keptUntil(state: State, until: number, signal: AbortSignal): Promise<Written[]> {
  const all: Written[] = [];
  let cursor: string | null = null;
  do {
    signal.throwIfAborted();
    const page: Page = await state.query(internal.written.page, { until, paginationOpts: { cursor, numItems: rowsPerPage } });
    all.push(...page.written);
    cursor = page.cursor;
  } while (cursor !== null);
  return all;
}
