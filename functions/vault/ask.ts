import type { Answer } from "../../convex/model/answer.ts";
import { defineCall } from "../define.ts";
import { findPassages, type Search } from "./find.ts";

export type { Answer } from "../../convex/model/answer.ts";
export type Question = Search;

const deadlineMs = 15_000; // Far above what a search takes; a store that is down is noticed before the asker gives up.

/** The passages that bear on a question, best first, with the sentences that answer it. */
export const askVault = defineCall({
  name: "vault.ask",
  needs: ["embedder", "vectors", "reranker"],
  deadlineMs,
  run: (question: Question, ports, signal): Promise<Answer> => findPassages(question, ports, signal),
});
