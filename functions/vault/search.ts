import type { Answer } from "../../convex/model/answer.ts";
import { defineCall } from "../define.ts";
import { findPassages, type Search } from "./find.ts";

const deadlineMs = 15_000;

/** Like `vault.ask`, for who is looking for something rather than asking: it leaves no event behind. */
export const searchVault = defineCall({
  name: "vault.search",
  needs: ["embedder", "embedders", "vectors", "reranker"],
  deadlineMs,
  run: (search: Search, ports, signal): Promise<Answer> => findPassages(search, ports, signal),
});
