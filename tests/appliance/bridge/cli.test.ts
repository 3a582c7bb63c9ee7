/** `nika bridge` against a running appliance's routes. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { openFakeState } from "../../fakes/state.ts";
import { nika, type Ran } from "../cli/command.ts";
import { openPlace } from "./place.ts";

const state = openFakeState();
const place = await openPlace(state);
after(() => place.close());
const bridge = (...words: string[]): Promise<Ran> => nika(["--data", place.dataDir, "bridge", ...words]);

test("a task is sent, taken, reported on and read in a terminal", async () => {
  await state.owner.mutation(api.bridge.addTarget, { name: "homelab" });
  const sent = JSON.parse((await bridge("send", "homelab", "Fix", "the", "DNS", "--json")).stdout) as {
    queued: boolean;
    id: string;
  };
  assert.equal(sent.queued, true);
  assert.equal((await bridge("send", "homelab", "Fix the DNS")).stdout, `homelab has this already: ${sent.id}\n`);
  assert.equal((await bridge("agent", "next", "homelab")).stdout, `${sent.id} pending, from owner\n  Fix the DNS\n`);
  assert.equal((await bridge("agent", "start", sent.id)).stdout, `${sent.id}: in_progress\n`);
  assert.equal((await bridge("status")).stdout, "0 waiting · 1 in progress · 0 updates\n  Fix the DNS\n");
  await bridge("agent", "complete", sent.id, "It", "resolves");
  assert.match((await bridge("pull")).stdout, /^homelab ✓ .*\n {2}It resolves\n$/u);
  assert.equal((await bridge("pull")).stdout, "Nothing new.\n");
  const again = JSON.parse((await bridge("pull", "--as", "phone", "--json")).stdout) as { updates: { content: string }[] };
  assert.deepEqual(
    again.updates.map(({ content }) => content),
    ["It resolves"],
  );
});

test("what cannot be is one sentence and its exit code", async () => {
  const late = await bridge("agent", "complete", "nonsense");
  assert.deepEqual([late.code, late.stderr], [66, "nika: There is no such message.\n"]);
  const nobody = await bridge("send", "nobody", "hello");
  assert.deepEqual([nobody.code, nobody.stderr], [66, "nika: There is no target nobody; there are homelab.\n"]);
  assert.equal((await bridge("pull", "--wait", "soon")).code, 64);
});
