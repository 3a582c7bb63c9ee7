/**
 * The runtime's kill drill: three workers, one of them with the control plane in its process, take jobs of every lane, with and without
 * keys, doors and delays, that are added all the while. Any of them is killed with `kill -9`, at a random moment or where it is about to claim,
 * to settle or to beat, or has just done so. At the end no job is open or lost, none was recorded twice, and what a dead worker held was begun
 * free again within 20 s. `node scripts/drills/runtimeKills.ts [KILLS] [SEED] [--cut] [--jump]`
 * With --cut one worker's connection is dead for a minute, half-way, and the others hear nothing of what they watch. With --jump the clock of
 * all of them jumps an hour on and back, again and again.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { openState } from "../../appliance/state.ts";
import { internal } from "../../convex/_generated/api.js";
import { freePort } from "../lab/freePort.ts";
import type { Boundary, Order } from "./runtimeProcess.ts";

const { values: flags, positionals } = parseArgs({
  options: { cut: { type: "boolean" }, jump: { type: "boolean" } },
  allowPositionals: true,
});
const [kills = 300, seed = 1] = positionals.map(Number);
/** Every so often a worker is not started again until others have what it held; the others go on dying meanwhile. */
const leftDownEvery = Math.min(25, Math.max(6, Math.floor(kills / 2)));
const boundaries: readonly Boundary[] = ["claiming", "claimed", "settling", "settled", "beating", "beaten", "running"];
const holding: readonly Boundary[] = ["claimed", "running", "settling"];
const cutMs = 60_000;
const hourMs = 3_600_000;
/** The clocks of all of them are off by as much as this file says. */
const clock = fileURLToPath(new URL("../../tests/appliance/engine/clock/steppedClock.ts", import.meta.url));
const takeOverMaxMs = 20_000;
const stillMaxMs = 90_000;
const script = fileURLToPath(new URL("runtimeProcess.ts", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "nika-runtime-"));
writeFileSync(join(dir, "ledger"), "");
setClock(0);
const port = await freePort();
const cable = await openCable(port);
const names = ["appliance", "second", "third"] as const;
type Name = (typeof names)[number];
const children = new Map<Name, ChildProcess>();
const problems: string[] = [];
const added = new Set<string>();
let randomState = seed;
const over = new AbortController();
let takeOverMs = 0;
let takeOvers = 0;
let deafUntil = 0;

try {
  for (const name of names) await start(name);
  const { adminKey } = openKeys(dir);
  const state = openState({ url: `http://127.0.0.1:${port}`, adminKey });
  const adding = Promise.all([0, 1, 2].map(() => keepAdding()));
  const diedAt = new Map<string, number>();
  let down: { name: Name; over: Promise<void>; isOver: boolean } | undefined;
  let cutting: Promise<void> | undefined;
  for (let kill = 1; kill <= kills; kill++) {
    await pause(random() * 150);
    if (down?.isOver) {
      await start(down.name);
      down = undefined;
    }
    if (flags.jump && kill % 4 === 0) setClock([hourMs, 0, -hourMs, 0][(kill / 4 - 1) % 4] ?? 0);
    if (flags.cut && kill === Math.ceil(kills / 2)) cutting = cutOff();
    const isCut = performance.now() < deafUntil;
    // While what a dead one held is waited for, the control plane stays: its own restart would be measured.
    const kept = down ? [down.name, "appliance"] : isCut ? ["third"] : [];
    const killable = names.filter((name) => !kept.includes(name));
    const name = killable[Math.floor(random() * killable.length)] as Name;
    const isLeftDown = name !== "appliance" && !down && !cutting && !flags.jump && kill % leftDownEvery >= leftDownEvery - 3;
    // One that is left down dies with something in its hands.
    const choice = isLeftDown ? holding : boundaries;
    const boundary = isLeftDown || random() < 0.6 ? choice[Math.floor(random() * choice.length)] : undefined;
    const where = await end(name, boundary);
    const killedAt = Date.now();
    diedAt.set(where, (diedAt.get(where) ?? 0) + 1);
    if (isLeftDown) {
      const left = { name, over: takenOver(name, killedAt), isOver: false };
      void left.over.then(() => (left.isOver = true));
      down = left;
    } else await start(name);
    if (kill % 25 === 0)
      console.log(
        `${elapsed()} kill ${kill}: ${added.size} jobs added, longest take-over ${seconds(takeOverMs)}, ${problems.length} problems`,
      );
  }
  await cutting;
  await down?.over;
  if (down) await start(down.name);
  // What waits for a time waits for the clock on the wall: it is put where all of these times are past.
  if (flags.jump) setClock(hourMs + hourMs / 12);
  over.abort();
  await adding;
  const left = await settled();
  const ledger = readLedger();
  const times = Map.groupBy(
    ledger.filter(({ what }) => what === "done"),
    ({ jobId }) => jobId,
  );
  for (const [jobId, dones] of times) if (dones.length > 1) found(`${jobId} was recorded ${dones.length} times`);
  const begun = new Set(ledger.map(({ jobId }) => jobId));
  for (const jobId of added) if (!begun.has(jobId)) found(`${jobId} was never begun`);
  // A row goes when its job is done, and stays when it is open or dead.
  if (left > 0) found(`${left} jobs are not done: ${JSON.stringify(standing())}`);
  await state.close();
  const where = [...diedAt].map(([at, count]) => `${at} ${count}`).join(", ");
  console.log(
    `runtime kills: ${kills} kills of seed ${seed} in ${elapsed()} (${where}), ${added.size} jobs, ${times.size} outcomes seen ` +
      `recorded, ${takeOvers} take-overs, the longest ${seconds(takeOverMs)}, ${problems.length} problems`,
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
      for (const { jobId } of await state.mutation(internal.work.add, { work })) added.add(jobId);
      // Slowly enough that what waits is little: then what a dead worker held is soon begun elsewhere, and the end is near.
      await pause(150);
    }
  }

  /** Until no job is open any more, or for a minute and a half none was done: a busy machine is slow, which is no problem. */
  async function settled(): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    let until = Date.now() + stillMaxMs;
    for (;;) {
      const open = jobRows().length;
      if (open < least) [least, until] = [open, Date.now() + stillMaxMs];
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
  const words = name === "appliance" ? [String(port), "engine"] : [String(name === "third" ? cable.port : port)];
  const execArgv = flags.jump ? ["--import", `${pathToFileURL(clock).href}?offset=${join(dir, "offset")}`] : [];
  const child = fork(script, [name, dir, ...words], { execArgv });
  children.set(name, child);
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it was ready`)));
  });
  if (deafUntil > performance.now()) order(child, { deafMs: deafUntil - performance.now() });
}

/** Kills it where it was told to die, or right away when it does not come there soon. Says which. */
async function end(name: Name, boundary?: Boundary): Promise<string> {
  const child = children.get(name);
  if (!child || child.exitCode !== null || child.signalCode !== null) return "gone";
  const gone = once(child, "exit").then(() => boundary ?? "anywhere");
  if (boundary) {
    order(child, { dieAt: boundary });
    const late = boundary === "beating" || boundary === "beaten" ? 5_500 : 1_000;
    const where = await Promise.race([gone, pause(late).then(() => undefined)]);
    if (where !== undefined) return where;
  }
  child.kill("SIGKILL");
  await gone;
  return "anywhere";
}

function order(child: ChildProcess | undefined, what: Order): void {
  if (child?.connected) child.send(what);
}

/** One worker's connection is dead without anybody being told, and the others are deaf; for a minute, while they go on being killed. */
async function cutOff(): Promise<void> {
  console.log(`${elapsed()} the third worker is cut off for ${cutMs / 1_000} s, the others hear nothing`);
  cable.cut();
  deafUntil = performance.now() + cutMs;
  for (const name of ["appliance", "second"] as const) order(children.get(name), { deafMs: cutMs });
  await pause(cutMs);
  cable.mend();
  console.log(`${elapsed()} the connection is back`);
}

/** What it had in its hands is free again, done or in the hands of others; how soon is what is promised. */
async function takenOver(name: Name, killedAt: number): Promise<void> {
  const held = leasesOf(name);
  if (held.size === 0) return;
  for (;;) {
    const ms = Date.now() - killedAt;
    const rest = jobRows().filter(({ _id, lease }) => lease !== undefined && held.get(_id) === lease.token);
    if (rest.length === 0) {
      takeOverMs = Math.max(takeOverMs, ms);
      takeOvers += 1;
      if (ms > takeOverMaxMs) found(`what ${name} held was free again only after ${ms} ms`);
      return;
    }
    if (ms > takeOverMaxMs + 10_000) return found(`${rest.length} jobs, which ${name} held, are still not free`);
    await pause(250);
  }
}

function found(problem: string): void {
  console.error(`${elapsed()} ${problem}`);
  problems.push(problem);
}

type Row = {
  readonly _id: string;
  readonly state: string;
  readonly isDue: boolean;
  readonly lane?: string;
  readonly isGated?: boolean;
  readonly gates?: readonly { readonly name: string }[];
  readonly lease?: { readonly token: string; readonly workerId: string };
};

/** How those that are left stand, and who is in at each door. */
function standing(): object {
  const rows = jobRows();
  const open = new Set(rows.map(({ _id }) => _id));
  const told = ({ state, lane, isDue, isGated, gates }: Row): string =>
    [state, lane, isDue ? "due" : "", isGated ? "gated" : "", ...(gates ?? []).map(({ name }) => name)].filter(Boolean).join(" ");
  const inside = rowsOf<{ name: string; jobId: string; isIn: boolean }>("gates").filter(({ isIn }) => isIn);
  return {
    jobs: Object.fromEntries(Object.entries(Object.groupBy(rows, told)).map(([how, some = []]) => [how, some.length])),
    inside: inside.map(({ name, jobId }) => `${name}: ${jobId}${open.has(jobId) ? "" : " (gone)"}`),
    workers: rowsOf<{ name: string; isUp: boolean; lastSeenAt?: number }>("workers"),
  };
}

/** Token by job. */
function leasesOf(name: Name): Map<string, string> {
  const worker = rowsOf<{ _id: string; name: string }>("workers").find((one) => one.name === name);
  const mine = jobRows().filter(({ lease }) => lease?.workerId === worker?._id);
  return new Map(mine.map(({ _id, lease }) => [_id, lease?.token ?? ""]));
}

function jobRows(): Row[] {
  return rowsOf<Row>("jobs");
}

/** What the file itself says. */
function rowsOf<T>(table: string): T[] {
  const db = new DatabaseSync(join(dir, "engine/engine.sqlite"), { readOnly: true, timeout: 10_000 });
  const rows = db.prepare("SELECT json FROM docs WHERE tableId = (SELECT id FROM tables WHERE name = ?)").all(table);
  db.close();
  return rows.map(({ json }) => JSON.parse(json as string) as T);
}

/** A way to the control plane that can be interrupted as a pulled cable does it: nothing arrives, and nobody hears why. */
async function openCable(to: number): Promise<{ port: number; cut(): void; mend(): void }> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isCut = false;
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on("error", () => one.destroy());
      one.on("close", () => {
        pairs.delete(pair);
        if (!isCut) other.destroy();
      });
      one.pipe(other);
      if (isCut) one.unpipe(other).pause();
    }
  });
  const set = (cut: boolean): void => {
    isCut = cut;
    for (const [near, far] of pairs) {
      if (cut) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      } else {
        near.pipe(far);
        far.pipe(near);
      }
    }
  };
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  return { port: (server.address() as AddressInfo).port, cut: () => set(true), mend: () => set(false) };
}

function setClock(offsetMs: number): void {
  writeFileSync(join(dir, "offset"), String(offsetMs));
}

function elapsed(): string {
  return seconds(performance.now());
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
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

function pause(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(done, ms));
}

function random(): number {
  return (randomState = (randomState * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}
