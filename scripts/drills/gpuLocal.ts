/**
 * The provider `local` end to end, for real: a training job in a container (or, without an engine or with --process, in processes), its output as it comes, the appliance
 * killed with SIGKILL in the middle and started again, the result brought by its hash, and nothing left running.
 *
 *     node scripts/drills/gpuLocal.ts [--process]
 *
 * Prints figures; fails when something is missing or left.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { load, openPlace, seconds, since } from "./gpuPlace.ts";

const isProcess = process.argv.includes("--process");
const place = await openPlace({ ...(isProcess && { setting: { backend: "process" } }) });
const { nika, expect, containers, marked, out } = place;
try {
  console.log(`load ${load()}`);
  nika("up");
  const asked = performance.now();
  const flags = ["--label", "drill", "--time", "10m", "--detach", "--json"];
  const node = isProcess ? process.execPath : "node";
  const { id } = JSON.parse(nika("gpu", "run", place.payload, ...flags, "--", node, "train.mjs")) as { id: string };

  const before = place.follow(id);
  while (before.lines.length === 0) await delay(50);
  const firstLineMs = since(asked);
  while (before.lines.length < 25) await delay(50);
  const kindOfMachine = isProcess || containers().length === 0 ? "processes" : "a container";
  const alive = marked().length;
  process.kill(place.pid(), "SIGKILL");
  const killed = performance.now();
  before.stop();
  const seenBefore = before.lines.length;
  await delay(2_000);
  expect(
    isProcess ? marked().length >= alive - 1 && alive > 0 : containers().length === 1,
    `with the appliance killed at line ${seenBefore}, the work goes on in ${kindOfMachine}`,
  );
  nika("up");
  const upMs = since(killed);
  const after = place.follow(id);
  await after.ended;
  const doneMs = since(killed);
  const { view } = place.show(id);
  expect(view.state === "succeeded", `the job is ${view.state}`);
  expect(view.attempt === 1, `it took ${view.attempt} machine`);
  const steps = after.lines.filter((line) => line.startsWith("{")).map((line) => (JSON.parse(line) as { step: number }).step);
  expect(
    steps.length === 100 && steps.every((step, n) => step === n + 1),
    `its output is whole: ${steps.length} steps, each once, in order`,
  );
  nika("gpu", "fetch", id, "--out", out);
  const result = readFileSync(join(out, "model/weights.json"));
  const { accuracy } = JSON.parse(result.toString()) as { accuracy: number };
  expect(
    accuracy > 0.85,
    `the model came back: ${result.length} bytes, sha256 ${createHash("sha256").update(result).digest("hex").slice(0, 16)}, accuracy ${accuracy}`,
  );
  await place.expectNothingLeft();
  console.log(
    `first line after ${seconds(firstLineMs)}; killed at step ${seenBefore}, answering again ${seconds(upMs)} after that, done after ${seconds(doneMs)}; load ${load()}`,
  );
} finally {
  place.close();
}
