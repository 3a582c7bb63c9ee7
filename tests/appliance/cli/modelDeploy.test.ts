import assert from "node:assert/strict";
import { test } from "node:test";
import { generationLines } from "../../../appliance/cli/modelDeploy.ts";
import type { GenerationView } from "../../../convex/model/generation.ts";
import { fusionDefault } from "../../../convex/model/model.ts";

// By the clock of whoever reads it.
const at = new Date(2026, 10, 21, 9, 30).getTime();
const view = (number: number, more: Partial<GenerationView>): GenerationView => ({
  id: `${number}` as GenerationView["id"],
  number,
  state: "live",
  wanted: "baseline",
  embedderId: "nika-baseline-2",
  fusion: fusionDefault,
  by: "start",
  at,
  liveAt: at,
  ...more,
});

test("what is in force, on its way and kept is said with who wanted it, since when and how far it is", () => {
  const learned = view(2, { wanted: "k57learned", embedderId: "nika-learned-k57-ab", by: "owner", reason: "both are mine" });
  const moving = view(3, { state: "copying", wanted: "bge", by: "schedule", done: 50, total: 200 });

  assert.deepEqual(generationLines({ live: null, moving: null, kept: null, past: [] }), [
    "In force: the embedder of this machine; the vault was not used yet.",
  ]);
  assert.deepEqual(
    generationLines({ live: learned, moving, kept: view(1, { state: "kept" }), keptUntil: at + 3_600_000, past: [] }),
    [
      "In force: model k57learn, since 2026-11-21 09:30, by the owner (“both are mine”).",
      "On its way: bge, by the schedule, 25 % copied.",
      "Kept: baseline, until 2026-11-21 10:30; `nika model rollback` goes back to it.",
    ],
  );
  const [, stopped] = generationLines({ live: learned, moving: { ...moving, isWorkedOn: false }, kept: null, past: [] });
  assert.match(stopped ?? "", /stopped\. `nika model deploy` with the same name goes on/u);
});
