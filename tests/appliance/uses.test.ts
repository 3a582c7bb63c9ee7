import assert from "node:assert/strict";
import { test } from "node:test";
import { openUses } from "../../appliance/uses.ts";
import { api, internal } from "../../convex/_generated/api.js";
import type { Answer } from "../../convex/model/answer.ts";
import { openFakeState } from "../fakes/state.ts";

const answer: Answer = {
  question: "when does the lease end?",
  language: "en",
  passages: [
    {
      documentId: "a",
      documentName: "a.md",
      title: "",
      ordinal: 3,
      text: "",
      place: {},
      placeLabel: "",
      score: 1,
      highlights: [],
    },
  ],
  understood: { filter: {}, phrases: [], codes: [], corrections: [] },
  embedder: { id: "x", label: "x", isBaseline: true },
  tookMs: 1,
};

test("an answer gets a key, and by it is remembered what was opened and cited of it", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  const problems: string[] = [];
  const uses = openUses(state, (line) => problems.push(line));
  const { useKey } = uses.answered(answer, "page abc");
  const remembered = async () =>
    (await state.query(internal.uses.page, { paginationOpts: { cursor: null, numItems: 10 } })).uses[0];
  while (!(await remembered())) await new Promise(setImmediate);
  uses.opened(useKey, { documentId: "a", ordinal: 3 });
  uses.opened(undefined, { documentId: "a", ordinal: 3 });
  uses.cited(useKey, { documentId: "a", ordinal: 3 });
  // Of what was not shown, nothing is kept.
  uses.cited(useKey, { documentId: "b", ordinal: 0 });
  while ((await remembered())!.reactions.length < 2) await new Promise(setImmediate);
  const { question, session, shown, reactions } = (await remembered())!;
  assert.deepEqual([question, session, shown], ["when does the lease end?", "page abc", [{ documentId: "a", ordinal: 3 }]]);
  assert.deepEqual(
    reactions.map(({ type }) => type),
    ["opened", "cited"],
  );
  assert.deepEqual(problems, []);
});
