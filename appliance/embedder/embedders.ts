/** The embedders of the vault's spaces, side by side while it is moved: each is opened when it is first asked for, and let go by name. */
import { NikaError } from "../../convex/model/error.ts";
import { dropAfterMs, wantedOf } from "../../convex/model/generation.ts";
import type { Embedder, Embedders } from "../../functions/ports/embedder.ts";
import { openBaseline } from "./baseline.ts";
import { findEmbedder, findLearned, findModel, modelCard, type ModelFiles } from "./model.ts";
import { openNeural } from "./neural.ts";
import type { OpenedEmbedder } from "./opened.ts";

export type EmbeddersOptions = {
  readonly modelsDir: string;
  /** One that is open already. */
  readonly own?: Embedder;
  /** Where to look for files that are not in `modelsDir`. */
  readonly elsewhere?: (embedderId: string) => Promise<ModelFiles | undefined>;
  readonly log: (line: string) => void;
};

export type OpenEmbedders = Embedders & {
  /** Which embedder "baseline", "bge" or the id of a trained model stands for. Fails with `missing`. */
  find(wanted: string): Promise<{ readonly embedderId: string; readonly dimensions: number }>;
  /** Lets go of all but these, once whoever asks another one now was answered. */
  keep(embedderIds: readonly string[]): void;
  close(): Promise<void>;
};

export function openEmbedders({ modelsDir, own, elsewhere, log }: EmbeddersOptions): OpenEmbedders {
  const opened = new Map<string, Promise<OpenedEmbedder | undefined>>();

  let kept: readonly string[] = [];
  let letting: NodeJS.Timeout | undefined;

  const filesOf = (wanted: string): Promise<ModelFiles | undefined> =>
    wanted === "bge" ? findModel(modelsDir) : findLearned(modelsDir, wanted);

  const open = async (embedderId: string): Promise<OpenedEmbedder | undefined> => {
    if (wantedOf(embedderId) === "baseline") return openBaseline();
    const files = (await findEmbedder(modelsDir, embedderId)) ?? (await elsewhere?.(embedderId));
    if (!files) return undefined;
    log(`embedder: ${embedderId}, from ${files.name}`);
    return openNeural(files, log);
  };

  const of = async (embedderId: string): Promise<Embedder | undefined> => {
    if (embedderId === own?.id) return own;
    let opening = opened.get(embedderId);
    if (!opening) {
      opening = open(embedderId);
      opened.set(embedderId, opening);
      // What is not there now may be put there.
      const forget = (): unknown => opened.get(embedderId) === opening && opened.delete(embedderId);
      opening.then((found) => !found && forget(), forget);
    }
    const found = await opening;
    return found?.id === embedderId ? found : undefined;
  };

  const letGo = async (embedderId: string): Promise<void> => {
    const opening = opened.get(embedderId);
    opened.delete(embedderId);
    await (await opening?.catch(() => undefined))?.close();
  };

  return {
    of,
    find: async (wanted) => {
      if (wanted === "baseline") {
        const baseline = openBaseline();
        await baseline.close();
        return { embedderId: baseline.id, dimensions: baseline.dimensions };
      }
      const files = await filesOf(wanted);
      if (!files)
        throw new NikaError(
          "missing",
          wanted === "bge"
            ? `No bge-small-en-v1.5 lies in ${modelsDir}; put its folder there, or let it be fetched.`
            : "The files of this model are no longer on this machine; train it again.",
        );
      const { id } = await modelCard(files);
      const embedder = await of(id);
      if (!embedder) throw new NikaError("missing", "The files of this model changed while they were read.");
      return { embedderId: id, dimensions: embedder.dimensions };
    },
    keep: (embedderIds) => {
      kept = embedderIds;
      if (![...opened.keys()].some((id) => !kept.includes(id))) return;
      clearTimeout(letting);
      const letOthersGo = (): void => {
        for (const id of opened.keys()) if (!kept.includes(id)) void letGo(id);
      };
      letting = setTimeout(letOthersGo, dropAfterMs).unref();
    },
    close: async () => {
      clearTimeout(letting);
      await Promise.all([...opened.keys()].map(letGo));
    },
  };
}
