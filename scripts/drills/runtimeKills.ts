/**
 * The runtime's kill drill: three workers, one of them with the control plane in its process, take jobs of every lane, with and without
 * keys, doors and delays, that are added all the while; `kill -9` of any of them at random moments. At the end no job is open or lost, none
 * was recorded twice, and what a dead worker held was begun elsewhere within 20 s. `node scripts/drills/runtimeKills.ts [KILLS] [SEED]`
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { openState } from "../../appliance/state.ts";
import { internal } from "../../convex/_generated/api.js";

const [kills = 300, seed = 1] = process.argv.slice(2).map(Number);
/** Every so often a worker is not started again until others have what it held. */
const leftDownEvery = 10;
const takeOverMaxMs = 20_000;
const script = fileURLToPath(new URL("runtimeProcess.ts", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "nika-runtime-"));
writeFileSync(join(dir, "ledger"), "");
const port = await freePort();
const names = ["appliance", "second", "third"] as const;
type Name = (typeof names)[number];
const children = new Map<Name, ChildProcess>();
const problems: string[] = [];
const added = new Set<string>();
let randomState = seed;
const over = new AbortController();
let takeOverMs = 0;

try {
  for (const name of names) await start(name);
  const { adminKey } = openKeys(dir);
  const state = openState({ url: `http://127.0.0.1:${port}`, adminKey });
  const adding = Promise.all([0, 1, 2].map(() => keepAdding()));
  for (let kill = 1; kill <= kills; kill++) {
    await pause(random() * 150);
    const name = names[Math.floor(random() * names.length)] as Name;
    const killedAt = Date.now();
    await end(name);
    if (name !== "appliance" && kill % leftDownEvery === leftDownEvery - 1) await takenOver(name, killedAt);
    await start(name);
    if (kill % 25 === 0) console.log(`kill ${kill}: ${added.size} jobs added, ${problems.length} problems`);
  }
  over.abort();
  await adding;
  const left = await settled();
  const ledger = readLedger();
  const times = Map.groupBy(
    ledger.filter(({ what }) => what === "done"),
    ({ jobId }) => jobId,
  );
  for (const [jobId, dones] of times) if (dones.length > 1) problems.push(`${jobId} was recorded ${dones.length} times`);
  const begun = new Set(ledger.map(({ jobId }) => jobId));
  for (const jobId of added) if (!begun.has(jobId)) problems.push(`${jobId} was never begun`);
  // A row goes when its job is done, and stays when it is open or dead.
  if (left > 0) problems.push(`${left} jobs are not done`);
  await state.close();
  for (const problem of problems.slice(0, 20)) console.error(problem);
  console.log(
    `runtime kills: ${kills} kills, ${added.size} jobs, ${times.size} outcomes seen recorded, ` +
      `longest take-over ${(takeOverMs / 1_000).toFixed(1)} s, ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;

  /** One after another; what is on its way at a kill, the client sends again. */
  async function keepAdding(): Promise<void> {
    while (!over.signal.aborted) {
      const work = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
        kind: "jobs.check" as const,
        args: { n: Math.floor(random() * 1_000) },
        label: "drill",
        lane: (["now", "work", "bulk"] as const)[Math.floor(random() * 3)] ?? "now",
        ...(random() < 0.2 && { key: `key ${Math.floor(random() * 3)}` }),
        ...(random() < 0.2 && { gates: [{ name: "door", limit: 2 }] }),
        ...(random() < 0.1 && { runAt: Date.now() + random() * 2_000 }),
      }));
      for (const { jobId } of await state.mutation(internal.jobs.add, { work })) added.add(jobId);
      // Slowly enough that what waits is little: then what a dead worker held is soon begun elsewhere, and the end is near.
      await pause(150);
    }
  }

  /** Until no job is open any more. */
  async function settled(): Promise<number> {
    const until = Date.now() + 120_000;
    for (;;) {
      const open = countJobs("%");
      if (open === 0 || Date.now() > until) return open;
      await pause(250);
    }
  }
} finally {
  for (const name of children.keys()) await end(name);
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

async function start(name: Name): Promise<void> {
  const child = fork(script, [name, dir, String(port), ...(name === "appliance" ? ["engine"] : [])], { execArgv: [] });
  children.set(name, child);
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it was ready`)));
  });
}

async function end(name: Name): Promise<void> {
  const child = children.get(name);
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** What it had begun and not ended is begun by others. */
async function takenOver(name: Name, killedAt: number): Promise<void> {
  const ledger = readLedger();
  const ended = new Set(ledger.filter(({ what }) => what === "done").map(({ jobId }) => jobId));
  const last = new Map(ledger.map((line) => [line.jobId, line.who]));
  const held = [...last].filter(([jobId, who]) => who === name && !ended.has(jobId)).map(([jobId]) => jobId);
  for (const deadline = killedAt + takeOverMaxMs + 5_000; Date.now() < deadline;) {
    const since = readLedger().filter(({ at, who }) => who !== name && at >= killedAt);
    const again = held.map((jobId) => since.find((line) => line.jobId === jobId)?.at);
    if (again.every((at) => at !== undefined)) {
      const ms = Math.max(0, ...again.map((at) => at - killedAt));
      takeOverMs = Math.max(takeOverMs, ms);
      if (ms > takeOverMaxMs) problems.push(`what ${name} held was begun elsewhere only after ${ms} ms`);
      return;
    }
    await pause(200);
  }
  // An outcome may have been recorded in the moment before the kill, with nobody left to note it: then its row is gone.
  for (const jobId of held)
    if (hasRow(jobId) && !readLedger().some((line) => line.jobId === jobId && line.who !== name && line.at >= killedAt))
      problems.push(`${jobId}, which ${name} held, was not begun elsewhere`);
}

function hasRow(jobId: string): boolean {
  return countJobs(`%${jobId}%`) > 0;
}

/** What the file itself says. */
function countJobs(like: string): number {
  const db = new DatabaseSync(join(dir, "engine/engine.sqlite"), { readOnly: true, timeout: 10_000 });
  const { count } = db
    .prepare("SELECT count(*) AS count FROM docs WHERE json LIKE ? AND tableId = (SELECT id FROM tables WHERE name = 'jobs')")
    .get(like) as { count: number };
  db.close();
  return count;
}

function readLedger(): { at: number; who: string; what: string; jobId: string }[] {
  return readFileSync(join(dir, "ledger"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [at = "", who = "", what = "", jobId = ""] = line.split(" ");
      return { at: Number(at), who, what, jobId };
    });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return free;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(done, ms));
}

function random(): number {
  return (randomState = (randomState * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}
