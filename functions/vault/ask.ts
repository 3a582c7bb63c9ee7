import type { Answer } from "../../convex/model/answer.ts";
import { defineCall, type Ports } from "../define.ts";
import { findPassages, type Search } from "./find.ts";
import { findPictures } from "./pictures.ts";

export type { Answer } from "../../convex/model/answer.ts";
export type Question = Search;

const deadlineMs = 15_000; // Far above what a search takes; a store that is down is noticed before the asker gives up.
/** As many as stand beside each other; `vault.pictures` gives more. */
const picturesMax = 6;
/** Passages do not wait longer than this for pictures. */
const picturesLimitMs = 3_000;

/** The passages that bear on a question, best first, with the sentences that answer it, and the pictures that do. */
export const askVault = defineCall({
  name: "vault.ask",
  needs: ["embedder", "embedders", "vectors", "reranker", "visual", "pictures"],
  deadlineMs,
  run: async (question: Question, ports, signal): Promise<Answer> => {
    const [answer, seen] = await Promise.all([findPassages(question, ports, signal), picturesFor(question, ports, signal)]);
    return { ...answer, ...seen };
  },
});

/** Nothing when they cannot be had: the passages are the answer. */
async function picturesFor(
  { tenantId, question, filter }: Question,
  ports: Pick<Ports, "embedder" | "visual" | "pictures">,
  signal: AbortSignal,
): Promise<Pick<Answer, "pictures" | "sight">> {
  if (!ports.visual || !ports.pictures) return {};
  const limit = AbortSignal.any([signal, AbortSignal.timeout(picturesLimitMs)]);
  const asked = { tenantId, question, limit: picturesMax, ...(filter && { filter }) };
  return await findPictures(asked, ports, limit).then(
    ({ pictures, sight }) => ({ pictures, sight }),
    () => ({}),
  );
}
