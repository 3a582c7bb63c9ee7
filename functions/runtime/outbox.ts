import type { FunctionArgs } from "convex/server";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { addedMax } from "../../convex/model/worker.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { State } from "../ports/state.ts";

export type NewWork = FunctionArgs<typeof internal.work.add>["work"][number];
/** `isNew` is false when a job of the same kind and key was open already; then it is that one. */
export type Added = { readonly jobId: Id<"jobs">; readonly isNew: boolean };

export type Entry = { readonly work: NewWork; readonly done: (added: Added) => void; readonly fail: (error: unknown) => void };

/** New work of this process on its way to the control plane: what comes while one batch is under way goes along with the next. */
export type Outbox = {
  readonly add: (work: NewWork) => Promise<Added>;
  readonly take: () => Entry[];
  readonly giveBack: (entries: readonly Entry[]) => void;
  readonly isEmpty: () => boolean;
  /** Who carries it from now on; nobody: it goes by itself. */
  readonly carriedBy: (onAny: (() => void) | undefined) => void;
  readonly close: () => Promise<void>;
};

export function openOutbox(state: State): Outbox {
  let waiting: Entry[] = [];
  let carrier: (() => void) | undefined;
  let sending: Promise<void> | undefined;
  let isClosed = false;

  const send = async (): Promise<void> => {
    const isMine = (): boolean => waiting.length > 0 && !carrier;
    while (isMine()) await addThrough(state, waiting.splice(0, addedMax));
  };
  const go = (): void => {
    if (waiting.length === 0) return;
    if (carrier) carrier();
    else sending ??= send().finally(() => (sending = undefined));
  };
  return {
    add(work) {
      if (isClosed) return Promise.reject(new NikaError("unavailable", "Nika is stopping; try again when it runs."));
      const { promise, resolve, reject } = Promise.withResolvers<Added>();
      waiting.push({ work, done: resolve, fail: reject });
      go();
      return promise;
    },
    take: () => waiting.splice(0, addedMax),
    giveBack(entries) {
      waiting = [...entries, ...waiting];
      go();
    },
    isEmpty: () => waiting.length === 0,
    carriedBy(onAny) {
      carrier = onAny;
      go();
    },
    async close() {
      isClosed = true;
      carrier = undefined;
      go();
      await sending;
    },
  };
}

/** All in one commit; if that is refused, one by one, so that each hears what was wrong with its own. */
export async function addThrough(state: State, entries: readonly Entry[]): Promise<void> {
  try {
    const added = await state.mutation(internal.work.add, { work: entries.map(({ work }) => work) });
    for (const [i, entry] of entries.entries()) entry.done(added[i] as Added);
  } catch (error) {
    if (entries.length === 1) return entries[0]?.fail(error);
    for (const entry of entries) await addThrough(state, [entry]);
  }
}
