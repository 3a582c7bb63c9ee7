/**
 * The engine's kill drill: mutations over WebSockets, scheduled mutations and actions, a watcher; `kill -9` at random moments; and at the
 * end everything counted. `node scripts/drills/engineKills.ts [KILLS] [SEED]`
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { freePort } from "../lab/freePort.ts";

const [kills = 100, seed = 1] = process.argv.slice(2).map(Number);
const writers = 3;
const inFlight = 5;
/** Acknowledged between two kills, so that each kill comes into work. */
const progress = 20;

const bump = makeFunctionReference<"mutation", { name: string }, number>("notes:bump");
const schedule = makeFunctionReference<"mutation", { name: string; inMs: number }, null>("notes:schedule");
const count = makeFunctionReference<"query", { name: string }, number>("notes:count");
const serving = fileURLToPath(new URL("../../tests/appliance/engine/serving.ts", import.meta.url));

type Job = {
  readonly name: string;
  readonly args: readonly { readonly name: string }[];
  readonly state: { readonly kind: string };
};
type Counter = { readonly name: string; readonly value: number };

const dir = mkdtempSync(join(tmpdir(), "nika-kills-"));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const problems: string[] = [];
let randomState = seed;
const state = { acknowledged: 0, isOver: false };
let scheduled = 0;
let restartMsMax = 0;
let lastTs = 0n;

try {
  let child = await started();
  const clients = Array.from({ length: writers }, () => new ConvexClient(url, { logger: false, unsavedChangesWarning: false }));
  const last = new Map<string, number>();
  for (let at = 0; at < writers; at++)
    clients[(at + 1) % writers]?.onUpdate(count, { name: `counter${at}` }, (value) => {
      if (value < (last.get(`counter${at}`) ?? 0)) problems.push(`counter${at} was seen to go back to ${value}`);
      last.set(`counter${at}`, value);
    });
  const work = clients.flatMap((client, at) => Array.from({ length: inFlight }, () => write(client, `counter${at}`)));
  const answered = Promise.all(work);
  for (let kill = 1; kill <= kills; kill++) {
    for (const goal = state.acknowledged + progress; state.acknowledged < goal;) await pause(5);
    await pause(random() * 60);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    const startedAt = performance.now();
    child = await started();
    restartMsMax = Math.max(restartMsMax, performance.now() - startedAt);
    await lookAtTime();
    if (kill % 25 === 0) console.log(`kill ${kill}: ${state.acknowledged} mutations answered, ${problems.length} problems`);
  }
  state.isOver = true;
  const perCounter = (await answered).reduce<Map<string, number[]>>((map, { name, values }) => {
    map.set(name, [...(map.get(name) ?? []), ...values]);
    return map;
  }, new Map());
  for (const [name, values] of perCounter) {
    const sorted = values.toSorted((a, b) => a - b);
    if (sorted.some((value, at) => value !== at + 1)) problems.push(`${name}: answers are not 1 to ${sorted.length}, each once`);
    const [reader] = clients;
    const value = await reader?.query(count, { name });
    if (value !== sorted.length) problems.push(`${name} is ${value} after ${sorted.length} mutations`);
  }
  await settled();
  await Promise.all(clients.map((client) => client.close()));
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  inspect();
  for (const problem of problems) console.error(problem);
  console.log(
    `engine kills: ${kills} kills, ${state.acknowledged} mutations answered once each, ${scheduled} pairs scheduled, ` +
      `slowest restart ${restartMsMax.toFixed(0)} ms, ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

/** One after another until the drill is over; what is on its way at a kill, the client sends again. */
async function write(client: ConvexClient, name: string): Promise<{ name: string; values: readonly number[] }> {
  const values: number[] = [];
  for (let turn = 0; !state.isOver; turn++) {
    if (turn % 10 === 9) await client.mutation(schedule, { name: `pair${scheduled++}`, inMs: 10 });
    values.push(await client.mutation(bump, { name }));
    state.acknowledged++;
  }
  return { name, values };
}

async function lookAtTime(): Promise<void> {
  const response = await fetch(`${url}/api/query_ts`, { method: "POST" });
  const { ts } = (await response.json()) as { ts: string };
  const now = Buffer.from(ts, "base64").readBigUInt64LE();
  if (now <= lastTs) problems.push(`time went from ${lastTs} to ${now} over a kill`);
  lastTs = now;
}

/** Until nothing scheduled is left to do. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    const db = new DatabaseSync(join(dir, "engine.sqlite"), { readOnly: true });
    const { open } = db.prepare("SELECT count(*) AS open FROM jobs WHERE state <> 'done'").get() as { open: number };
    db.close();
    if (open === 0) return;
    await pause(100);
  }
  problems.push("scheduled functions are still open");
}

/** What the file itself says: sound, every scheduled mutation a success, every pair counted as often as it says that it ran. */
function inspect(): void {
  const db = new DatabaseSync(join(dir, "engine.sqlite"));
  const { integrity_check: verdict } = db.prepare("PRAGMA integrity_check").get() as { integrity_check: string };
  if (verdict !== "ok") problems.push(`the database is damaged: ${verdict}`);
  const documents = <T>(table: string): T[] =>
    (
      db.prepare("SELECT json FROM docs WHERE tableId = (SELECT id FROM tables WHERE name = ?)").all(table) as { json: string }[]
    ).map(({ json }) => JSON.parse(json) as T);
  const jobs = documents<Job>("_scheduled_functions");
  const counters = new Map(documents<Counter>("counters").map((one) => [one.name, one.value]));
  const byPair = Map.groupBy(jobs, (job) => job.args[0]?.name ?? "");
  if (byPair.size !== scheduled) problems.push(`${byPair.size} pairs were scheduled, not ${scheduled}`);
  for (const [name, pair] of byPair) {
    const mutation = pair.find((job) => job.name.includes("bumpLater"));
    const action = pair.find((job) => job !== mutation);
    if (pair.length !== 2) problems.push(`${name} was scheduled ${pair.length} times`);
    if (mutation?.state.kind !== "success") problems.push(`${name}: its mutation is ${mutation?.state.kind}`);
    const least = action?.state.kind === "success" ? 2 : 1;
    const value = counters.get(name) ?? 0;
    if (value < least || value > 2) problems.push(`${name} was counted ${value} times, its action is ${action?.state.kind}`);
  }
  db.close();
}

async function started(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [serving, dir, String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  const said = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  if (!Buffer.isBuffer(said[0])) throw new Error("The engine did not open after a kill.");
  return child;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Numerical Recipes' generator: the same moments for the same seed, as far as a machine allows. */
function random(): number {
  randomState = (Math.imul(randomState, 1664525) + 1013904223) >>> 0;
  return randomState / 2 ** 32;
}
