/** The record of what searches go by, as the vault at this machine reads and follows it. */
import { internal } from "../convex/_generated/api.js";
import { wantedOf } from "../convex/model/generation.ts";
import { fusionDefault, type Fusion } from "../convex/model/model.ts";
import type { Embedder } from "../functions/ports/embedder.ts";
import type { State } from "../functions/ports/state.ts";
import { openEmbedders, type OpenEmbedders } from "./embedder/embedders.ts";
import type { Log } from "./log.ts";
import type { GenerationRecord } from "./qdrant/book.ts";

export type Generations = {
  readonly record: GenerationRecord;
  readonly embedders: OpenEmbedders;
  /** Whose vectors are searched and how that ranking is joined with the one by words; of a vault that was never opened, what it will be made with. */
  live(): Promise<{ readonly embedderId: string; readonly fusion: Fusion }>;
  /** Follows what is in force, so that it is shown and its model is ready. */
  follow(): void;
  close(): Promise<void>;
};

export type GenerationsOptions = {
  readonly state: State;
  readonly modelsDir: string;
  /** Of a vault that is new: the best that this machine has. */
  readonly own: Embedder;
  readonly log: Log;
};

export function openGenerations({ state, modelsDir, own, log }: GenerationsOptions): Generations {
  const embedders = openEmbedders({ modelsDir, own, log });
  const listeners = new Set<() => void>();
  let shown = own.id;
  let unwatch: (() => void) | undefined;

  const show = async (embedderId: string): Promise<void> => {
    if (embedderId === shown) return;
    shown = embedderId;
    const embedder = await embedders.of(embedderId);
    if (!embedder)
      return log(
        `embedder: ${embedderId} is not on this machine, so the vault is searched by words alone; ` +
          `\`nika model deploy ${wantedOf(own.id)}\` moves it to ${own.id}`,
      );
    const { id, label, isBaseline } = embedder;
    await state.mutation(internal.appliance.follow, { id, label, isBaseline });
    const isOffered = ["baseline", "bge"].includes(wantedOf(id));
    log(
      `embedder: searches go by ${id}${isOffered ? `; \`nika model deploy ${wantedOf(own.id)}\` moves the vault to ${own.id}` : ""}`,
    );
  };

  const live = async (): Promise<{ readonly embedderId: string; readonly fusion: Fusion }> =>
    (await state.query(internal.generations.spaces, {})).live ?? { embedderId: own.id, fusion: fusionDefault };

  return {
    embedders,
    live,
    record: {
      read: () => state.query(internal.generations.spaces, {}),
      adopt: (found) => state.mutation(internal.generations.adopt, found),
      lose: async ({ generationId }, problem) => {
        log(`vectors: ${problem}`);
        await state.mutation(internal.generations.lapse, { generationId, problem });
        await state.mutation(internal.generations.abandon, { generationId, problem });
      },
      watch: (changed) => void listeners.add(changed),
      embedder: (id) => embedders.of(id),
    },
    follow: () => {
      unwatch = state.watch(
        internal.generations.spaces,
        {},
        ({ live, beside }) => {
          for (const changed of listeners) changed();
          embedders.keep([live, beside].flatMap((space) => space?.embedderId ?? []));
          if (live) void show(live.embedderId).catch((error: unknown) => log(`embedder: ${String(error)}`));
        },
        (error) => log(`vectors: which are in force is not heard of: ${error.message}`),
      );
    },
    close: async () => {
      unwatch?.();
      await embedders.close();
    },
  };
}
