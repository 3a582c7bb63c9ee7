import { NikaError } from "../../convex/model/error.ts";
import { visualDimensions } from "../../functions/ports/visual.ts";
import { visualDescriptor } from "../../ml/embed/visual.ts";
import { findClip, openClip } from "./clip.ts";
import { openLooker } from "./look.ts";
import type { OpenedVisual } from "./opened.ts";
import { openVertex, type VertexConfig } from "./vertex.ts";

export type VisualConfig =
  /** A CLIP model when its files are in the models folder, else the descriptor. */
  | { readonly type: "local" }
  /** The descriptor, whatever lies in the models folder. */
  | { readonly type: "descriptor" }
  | ({ readonly type: "vertex" } & VertexConfig);

type VisualOptions = { readonly config: VisualConfig; readonly modelsDir: string; readonly log: (line: string) => void };

/**
 * What turns pictures into vectors. Decided once and said in the log: vectors of two of them do not compare. Pictures leave the machine
 * only with "vertex". A model that is there but does not work is an error, as with text.
 */
export async function openVisual({ config, modelsDir, log }: VisualOptions): Promise<OpenedVisual> {
  if (config.type === "vertex") {
    const vertex = openVertex(config);
    log(`pictures are sent to ${vertex.label}, because NIKA_VISUAL says so`);
    return vertex;
  }
  const clip = config.type === "local" ? await findClip(modelsDir) : undefined;
  const visual = clip ? await openClip(clip, log) : openDescriptor();
  log(`pictures: ${visual.label}`);
  return visual;
}

/** No model: see ml/embed/visual.ts. */
export function openDescriptor(): OpenedVisual {
  const looker = openLooker();
  const { id, label, text } = visualDescriptor();
  return {
    id,
    label,
    dimensions: visualDimensions,
    seesMeaning: false,
    isRemote: false,
    images: async (pictures, signal) => {
      const vectors: (Float32Array | undefined)[] = [];
      for (const { bytes, words } of pictures) vectors.push(await looker.describe(bytes, { words, isQuestion: false }, signal));
      return vectors;
    },
    like: ({ bytes, words }, signal) => looker.describe(bytes, { words, isQuestion: true }, signal),
    text: async (query, signal) => {
      if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
      return text(query);
    },
    close: () => looker.close(),
  };
}
