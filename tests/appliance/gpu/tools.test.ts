import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { test } from "node:test";
import { ConvexError } from "convex/values";
import type { GpuActs, Wish } from "../../../appliance/gpu/routes.ts";
import { gpuTools } from "../../../appliance/gpu/tools.ts";
import { toNikaError } from "../../../convex/model/error.ts";
import { providers } from "../../../convex/model/gpu.ts";
import { vGpuJobState } from "../../../convex/model/gpuJob.ts";
import type { State } from "../../../functions/ports/state.ts";

const signal = AbortSignal.timeout(60_000);
const skills = new URL("../../../docs/skills/gpu/", import.meta.url);

/** A world in which the quote notes what it was asked and then says no. */
function openTools() {
  const asked: { wish: Wish; text: string | undefined }[] = [];
  const acts = {
    async quote(wish: Wish) {
      asked.push({ wish, text: await readFile(`${wish.folder}/src/work.py`, "utf8").catch(() => undefined) });
      throw new ConvexError({ code: "unavailable", message: "Nothing is to be had." });
    },
  } as unknown as GpuActs;
  const tools = gpuTools(acts, {} as State);
  const call = async (name: string, args: Record<string, unknown>): Promise<unknown> =>
    tools.find((one) => one.name === name)?.call(args, signal);
  return { asked, tools, call };
}
const command = ["python3", "src/work.py"];

test("an agent's files are laid out for the quote and cleared away, also when there is none", async () => {
  const { asked, call } = openTools();
  const files = [{ path: "src/work.py", content: "print(1)" }];
  await assert.rejects(call("gpu_quote", { files, command, minutes: 5, gpus: 1, gpu_memory_gb: 20, cost_max_eur: 0.5 }));

  const [one] = asked;
  assert.ok(one);
  assert.equal(one.text, "print(1)");
  assert.deepEqual(one.wish.need, { gpu: { count: 1, memoryMb: 20_000 } });
  assert.equal(one.wish.runMsMax, 300_000);
  assert.deepEqual(one.wish.costMax, { micros: 500_000, currency: "EUR" });
  assert.ok(!existsSync(dirname(`${one.wish.folder}/x`)));
});

for (const [what, args, says] of [
  ["leads out of its folder", { files: [{ path: "../x", content: "" }] }, /leads out/u],
  ["is the folder itself", { files: [{ path: ".", content: "" }] }, /leads out/u],
  [
    "is a file and a folder",
    {
      files: [
        { path: "a", content: "" },
        { path: "a/b", content: "" },
      ],
    },
    /cannot be laid out/u,
  ],
  ["is nothing", { files: [] }, /1 to 200 files/u],
  ["has no command", { command: [""] }, /what is to be run/u],
  ["may run for no time", { minutes: 0 }, /how long/u],
  ["goes to nobody known", { providers: ["nowhere"] }, /is no provider; there are local/u],
  ["may cost what is no amount", { cost_max_eur: -1 }, /amount/u],
] as const)
  test(`what an agent asks a quote for is refused in a sentence when it ${what}`, async () => {
    const { asked, call } = openTools();
    const good = { files: [{ path: "src/work.py", content: "" }], command, minutes: 5 };
    await assert.rejects(call("gpu_quote", { ...good, ...args }), { name: "NikaError", message: says });
    assert.equal(asked.length, 0);
  });

test("a refusal by the database keeps its code and sentence; anything else is a fault of ours", () => {
  const { code, message } = toNikaError(new ConvexError({ code: "missing", message: "There is no such quote." }));
  assert.deepEqual({ code, message }, { code: "missing", message: "There is no such quote." });
  assert.equal(toNikaError(new ConvexError({ code: "toString", message: "?" })).code, "bug");
  assert.equal(toNikaError(new ConvexError("text")).code, "bug");
});

test("every provider has a skill, and skills name only tools and states that there are", async () => {
  const folders = await readdir(skills, { withFileTypes: true });
  assert.deepEqual(folders.flatMap((one) => (one.isDirectory() ? [one.name] : [])).toSorted(), providers.toSorted());
  const names = new Set(openTools().tools.map(({ name }) => name));
  const shared = await readFile(new URL("work.md", skills), "utf8");
  const texts = await Promise.all(providers.map(async (id) => readFile(new URL(`${id}/SKILL.md`, skills), "utf8")));
  for (const text of [shared, ...texts])
    for (const [, tool = ""] of text.matchAll(/`(gpu_(?!memory)[a-z]+)`/gu)) assert.ok(names.has(tool), tool);
  for (const [n, text] of texts.entries())
    assert.match(text, new RegExp(`^---\nname: nika-gpu-${providers[n]}\ndescription: ".+"\n---\n`, "u"));
  const known = new Set<string>(vGpuJobState.members.map(({ value }) => value));
  for (const state of ["succeeded", "failed", "cancelled", "timedOut", "budgetStopped", "deadlineMissed", "parked"])
    assert.ok(known.has(state) && shared.includes(`\`${state}\``), state);
});
