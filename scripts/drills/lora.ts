/**
 * The drill of training beside a base, for real and on this machine's processor: a made firm's use is packed, the Python payload trains a
 * tiny BERT of chance for two epochs (no downloads but its libraries, once), is ended by SIGTERM in the middle and goes on to the same
 * bytes, and what came back is checked, served by the appliance's own process and judged. `node scripts/drills/lora.ts [PYTHON] [CACHE]`
 *
 * PYTHON has to be 3.11; it needs no libraries, because the payload makes an environment in CACHE: some 7 GB, since the torch of the
 * package index brings CUDA along. What is here already is used.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { openBaseline } from "../../appliance/embedder/baseline.ts";
import { openTuning } from "../../appliance/tuning.ts";
import { fusionDefault } from "../../convex/model/model.ts";
import type { Use } from "../../convex/model/use.ts";
import { parityMax } from "../../ml/train/lora/result.ts";
import { madeFirm } from "../../tests/ml/dataset/firm.ts";

type Line = Readonly<Record<string, unknown>> & { readonly type?: string };
type Ran = { readonly code: number | null; readonly seconds: number; readonly lines: readonly Line[] };

const [python = "python3", cache = join(tmpdir(), "nika-lora-cache")] = process.argv.slice(2);
const signal = new AbortController().signal;
const dir = mkdtempSync(join(tmpdir(), "nika-lora-"));
const baseline = openBaseline();
const generations = {
  live: async () => ({ embedderId: baseline.id, fusion: fusionDefault }),
  embedders: { of: async () => baseline },
};
const tuner = openTuning({ dataDir: dir, modelsDir: join(dir, "models"), generations, log: console.log });
const problems: string[] = [];
const expect = (holds: boolean, what: string): void => {
  console.log(`${holds ? "  ok" : "FAIL"}  ${what}`);
  if (!holds) problems.push(what);
};

/** Runs the payload; with `endAt`, asks it to save and end once it is at that step. */
async function train(folder: string, out: string, options: { endAt?: number; resume?: boolean } = {}): Promise<Ran> {
  const startedAt = performance.now();
  const saved = join(dir, "saved");
  const child = spawn(python, ["start.py"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: dir,
      NIKA_OUT: out,
      NIKA_CACHE: resolve(cache),
      NIKA_CKPT_DIR: saved,
      ...(options.resume && { NIKA_RESUME_FROM: saved }),
    },
  });
  const lines: Line[] = [];
  const ended = new Promise<number | null>((done) => child.once("close", done));
  for await (const text of createInterface({ input: child.stdout })) {
    const line = (text.startsWith("{") ? JSON.parse(text) : {}) as Line;
    lines.push(line);
    if (line.type !== "progress") console.log(`      ${text.slice(0, 200)}`);
    if (line.type === "progress" && line["step"] === options.endAt) child.kill("SIGTERM");
  }
  return { code: await ended, seconds: (performance.now() - startedAt) / 1000, lines };
}

const hashOf = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const of = (lines: readonly Line[], type: string): Line[] => lines.filter((line) => line.type === type);

try {
  const { passages, pairs } = madeFirm({ documents: 160 });
  const uses = pairs.map(({ query, passage, at, session }, index): Use => ({
    key: `k${index}`,
    at,
    session: `${session} ${index}`,
    question: query,
    shown: [passage],
    reactions: [{ type: "cited", at, ...passage }],
  }));
  const training = {
    modelId: "drill",
    passages,
    uses,
    scopes: ["private"],
    seed: 5,
    isScrubbed: false,
    until: Number.MAX_SAFE_INTEGER,
  };
  const packed = await tuner.pack({ ...training, base: "random" }, { signal });
  if (packed.type === "refused") throw new Error(packed.result.says);

  const [whole, halves] = [join(dir, "whole"), join(dir, "halves")];
  const first = await train(packed.folder, whole);
  expect(first.code === 0, `trained in ${first.seconds.toFixed(1)} s, installing included`);
  for (const { seconds, megabytes } of of(first.lines, "installed"))
    console.log(`      the libraries: ${String(megabytes)} MB in ${String(seconds)} s`);
  const losses = of(first.lines, "epoch").flatMap(({ loss }) => (typeof loss === "number" ? [loss] : []));
  expect(
    losses.length === 2 && losses[1]! < losses[0]!,
    `loss falls over two epochs: ${losses.map((loss) => loss.toFixed(3)).join(" → ")}`,
  );
  const [done] = of(first.lines, "done");
  console.log(`      ${String(done?.["seconds"])} s of training and export, ${String(done?.["processMb"])} MB at most`);

  rmSync(join(dir, "saved"), { recursive: true, force: true });
  const steps = Number(of(first.lines, "progress")[0]?.["steps"]);
  const cut = await train(packed.folder, halves, { endAt: Math.floor(steps * 0.6) });
  expect(cut.code === 143 && !existsSync(join(halves, "result.json")), `ended by SIGTERM within ${steps} steps, having saved`);
  const rest = await train(packed.folder, halves, { resume: true });
  expect(
    rest.code === 0 && of(rest.lines, "resumed").length === 1,
    `went on from step ${String(of(rest.lines, "resumed")[0]?.["step"])}`,
  );
  const graph = "onnx/model_quantized.onnx";
  expect(hashOf(join(whole, graph)) === hashOf(join(halves, graph)), "the same bytes as without an interruption");

  const startedAt = performance.now();
  const result = await tuner.judge({ modelId: "drill", folder: halves, facts: ["this machine's processor"] }, { signal });
  const lora = result.trained?.lora;
  console.log(`      served and judged in ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${result.says}`);
  expect(
    lora !== undefined && lora.maxAbsDifference <= parityMax,
    `graph and torch differ by ${lora?.maxAbsDifference ?? NaN} at most (${parityMax})`,
  );
  expect(
    lora !== undefined && lora.servedCosine > 0.98,
    `served by the appliance: cosine ${lora?.servedCosine.toFixed(5) ?? "none"} at least`,
  );
  console.log(
    `      in bytes beside torch: cosine ${lora?.quantisedCosine.toFixed(5) ?? "none"} at least; ${lora?.trained ?? 0} of ${lora?.numbers ?? 0} numbers learned`,
  );
  for (const { passed, name, says } of result.checks) console.log(`      ${passed ? "ok  " : "not "} ${name}: ${says}`);
} finally {
  await tuner.close();
  rmSync(dir, { recursive: true, force: true });
}
console.log(problems.length === 0 ? "lora drill: all holds" : `lora drill: ${problems.length} do not hold`);
process.exitCode = problems.length === 0 ? 0 : 1;
