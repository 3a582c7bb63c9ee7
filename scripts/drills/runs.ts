/**
 * The drill of runs: many at a time, with branches, naps, signals, children and effects of all three classes, in a process that is killed
 * with `kill -9` at random moments. At the end each has come to what it comes to undisturbed, no effect happened more often than its
 * class allows, and nothing waits for nobody. `node scripts/drills/runs.ts [KILLS] [SEED] [RUNS]`
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { ConvexHttpClient } from "convex/browser";
import type { ConvexError } from "convex/values";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { mintOwnerToken } from "../../appliance/secrets/token.ts";
import { openState } from "../../appliance/state.ts";
import { api, internal } from "../../convex/_generated/api.js";
import type { Doc, TableNames } from "../../convex/_generated/dataModel.js";
import { freePort } from "../lab/freePort.ts";

const [kills = 30, seed = 1, runs = kills * 3] = process.argv.slice(2).map(Number);
/** first 1 + sent 3 + the leaf's 1, or what the child came to, and five times one more. */
const expected = [10, 19] as const;
const patienceMs = 120_000;
const script = fileURLToPath(new URL("runsProcess.ts", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "nika-runs-"));
const world = join(dir, "world");
writeFileSync(world, "");
const port = await freePort();
const problems: string[] = [];
/** How often somebody said that a blind effect is to be done once more. */
const allowed = new Map<string, number>();
const told = new Set<string>();
let decided = 0;
let randomState = seed;
let child = await start();

try {
  const { adminKey, signing } = openKeys(dir);
  const url = `http://127.0.0.1:${port}`;
  const state = openState({ url, adminKey });
  const auth = mintOwnerToken(signing, Date.now()).token;
  const owner = new ConvexHttpClient(url, { auth, logger: false, skipConvexDeploymentUrlCheck: true });
  const ids: string[] = [];
  const beginOne = async (): Promise<void> => {
    const args = JSON.stringify({ depth: ids.length % 2, turn: ids.length % 3 });
    ids.push(await state.mutation(internal.runs.begin, { name: "drill", args, label: `drill ${ids.length}` }));
  };
  for (let kill = 1; kill <= kills; kill++) {
    // There is always work to be met.
    while (ids.length < (runs * kill) / kills) await beginOne();
    await pause(20 + random() * 180);
    await lookAfter();
    await end(child);
    child = await start();
  }
  for (const until = Date.now() + patienceMs; Date.now() < until;) {
    await lookAfter();
    if (rowsOf("runs").every(({ endedAt }) => endedAt !== undefined)) break;
    await pause(100);
  }
  await state.close();
  await end(child);
  check();
  for (const problem of problems.slice(0, 20)) console.error(problem);
  const [steps, effects] = [rowsOf("steps").length, rowsOf("effects").length];
  console.log(
    `runs: ${kills} kills, ${rowsOf("runs").length} runs, ${steps} steps, ${effects} effects, ` +
      `${decided} asked about and ${[...allowed.values()].reduce((a, b) => a + b, 0)} of these done again, ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;

  /** Says "go" to each run that waits for it, and looks into the world for what nobody knows. */
  async function lookAfter(): Promise<void> {
    const steps = new Map(rowsOf("steps").map((step) => [step._id as string, step]));
    for (const run of rowsOf("runs")) {
      if (told.has(run._id) || run.endedAt !== undefined) continue;
      told.add(run._id);
      await state.mutation(internal.signals.deliver, { id: run._id, kind: "go", body: '"go"', from: "drill" });
    }
    for (const { stepId, key, state: known } of rowsOf("effects")) {
      if (known !== "unknown" || steps.get(stepId)?.waitFor?.type !== "decision") continue;
      const isDone = happenedTimes(key) > 0;
      decided += 1;
      if (!isDone) allowed.set(key, (allowed.get(key) ?? 0) + 1);
      await owner.mutation(api.effects.decide, { stepId, as: isDone ? "sent" : "again" }).catch((error: unknown) => {
        // It went on between the look and the word.
        if (!JSON.stringify((error as ConvexError<string>).data).includes("not asked")) throw error;
      });
    }
    for (const { _id: id, state: stands, problem } of rowsOf("runs")) {
      if (stands !== "parked") continue;
      // Whoever dies under the same job eight times is taken to be killed by it; here it was us.
      if (problem?.type === "stuck") await owner.mutation(api.runs.resume, { id });
      else problems.push(`parked: ${problem?.message}`);
    }
  }

  function check(): void {
    for (const run of rowsOf("runs")) {
      const came = run.result?.type === "text" ? Number(run.result.text) : undefined;
      // Of one without children, or with one.
      if (run.state !== "done" || !expected.some((one) => one === came))
        problems.push(`${run.label} ${run.state}: ${came} ${run.error?.message ?? ""}`);
    }
    for (const id of ids) if (!rowsOf("runs").some((run) => run._id === id)) problems.push(`${id} is lost`);
    const paths = rowsOf("steps").map(({ runId, life, path }) => `${runId} ${life} ${path}`);
    if (new Set(paths).size < paths.length) problems.push("a step was written down twice");
    for (const { key, class: sort, state: known } of rowsOf("effects")) {
      const times = happenedTimes(key);
      const most = sort === "ambiguous" ? 1 + (allowed.get(key) ?? 0) : 1;
      if (times > most || times < 1) problems.push(`an ${sort} effect happened ${times} times`);
      if (known !== "sent") problems.push(`an effect that happened is ${known}`);
    }
    if (rowsOf("waits").length > 0) problems.push(`${rowsOf("waits").length} steps wait although nothing goes on`);
  }
} finally {
  await end(child);
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

function happenedTimes(key: string): number {
  return readFileSync(world, "utf8").split(` ${key}\n`).length - 1;
}

/** What the file itself says. */
function rowsOf<T extends TableNames>(table: T): Doc<T>[] {
  const db = new DatabaseSync(join(dir, "engine/engine.sqlite"), { readOnly: true, timeout: 10_000 });
  const rows = db.prepare("SELECT json FROM docs WHERE tableId = (SELECT id FROM tables WHERE name = ?)").all(table);
  db.close();
  return rows.map((row) => JSON.parse((row as { json: string }).json) as Doc<T>);
}

async function start(): Promise<ChildProcess> {
  const process = fork(script, [dir, String(port)], { execArgv: [] });
  await new Promise<void>((resolve, reject) => {
    process.once("message", () => resolve());
    process.once("exit", (code) => reject(new Error(`it ended with ${code} before it was ready`)));
  });
  return process;
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const gone = once(process, "exit");
  process.kill("SIGKILL");
  await gone;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(done, ms));
}

function random(): number {
  return (randomState = (randomState * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}
