/**
 * The drill of migrations. `node scripts/drills/migration.ts --kills 100 [--passages 600] [--seed 1]`: a process writes, asks and moves the
 * vault between two models, and is killed with `kill -9` in every phase; at the end exactly one space is in force, with everything in it.
 * `node scripts/drills/migration.ts --load [--passages 100000] [--searches 50] [--writes 20] [--per 10] [--limit 1800]`: one move under load,
 * against the same load without one; a write replaces a document of `per` passages, 1 to 10; after `limit` seconds it is ended, and what was reached is told.
 * `--turns 15` holds the move every other 15 seconds, so that what else happens on the machine falls on both alike; while it is held, writes go
 * to both spaces all the same. Texts and embedders are made; all else is what the appliance runs.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { toPoint } from "../../appliance/qdrant/points.ts";
import { openSpellings } from "../../appliance/qdrant/spellings.ts";
import { api, internal } from "../../convex/_generated/api.js";
import type { Space } from "../../convex/model/generation.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { random } from "../../tests/appliance/vectors/random.ts";
import {
  openDrillVault,
  passagesOf,
  perDocument,
  places,
  questionOf,
  tenantId,
  textsOf,
  words,
  type DrillVault,
} from "./migrationVault.ts";

const { values: flags } = parseArgs({
  options: {
    kills: { type: "string" },
    load: { type: "boolean" },
    passages: { type: "string" },
    searches: { type: "string", default: "50" },
    writes: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    quiet: { type: "string", default: "20" },
    per: { type: "string", default: "10" },
    limit: { type: "string", default: "1800" },
    turns: { type: "string" },
  },
});
const per = Number(flags.per);
const never = new AbortController().signal;
/** Code is compiled and files are read the first time; neither belongs to either side of the comparison. */
const warmMs = 20_000;
const dir = mkdtempSync(join(tmpdir(), "nika-migration-"));
const problems: string[] = [];
/** How long it waits for a process to come where it was told to die; then it is killed wherever it is. */
const placeMsMax = 3_000;
let last: ChildProcess | undefined;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
  process.once(signal, () => {
    last?.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    process.exit(1);
  });

async function killed(wanted: number): Promise<void> {
  const startedAt = performance.now();
  const { next, below } = random(Number(flags.seed));
  /** Killed by this process, wherever it was; all others killed themselves at the place they were told, and wrote it down. */
  let anywhere = 0;
  const start = async (): Promise<ChildProcess> => {
    const script = fileURLToPath(new URL("migrationProcess.ts", import.meta.url));
    const child = fork(script, [dir, flags.passages ?? "600", String(below(1e9))], { stdio: "inherit" });
    last = child;
    await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended with ${code} before it was ready`))),
    ]);
    return child;
  };
  let child = await start();
  for (let kills = 0; kills < wanted;) {
    const place = next() < 0.85 ? places[below(places.length)] : undefined;
    const gone = once(child, "exit").then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }));
    let isLate = false;
    if (place) {
      child.send({ dieAt: place });
      isLate = await Promise.race([gone.then(() => false), delay(placeMsMax).then(() => true)]);
    } else await delay(next() * 3_000);
    // False when it is gone already: then it has killed itself, or there is something to find out.
    const isOurs = (isLate || !place) && child.kill("SIGKILL");
    const { code, signal } = await gone;
    if (signal === "SIGKILL") {
      kills += 1;
      if (isOurs) anywhere += 1;
      if (kills % 10 === 0) console.log(`${kills} of ${wanted} kills`);
    } else problems.push(`it ended by itself with ${code ?? signal}`);
    child = await start();
  }
  // Let it come to rest.
  const ended = once(child, "exit");
  child.send({ end: true });
  await ended;
  const { expected, writes, fails, unfinished, deaths } = readLedger();
  problems.push(...fails, ...unfinished);
  const vault = await openDrillVault(dir);
  const { live, beside, passages } = await check(vault, expected);
  await vault.close();
  const noted = [...deaths.values()].reduce((sum, count) => sum + count, 0);
  // One that had just written where it dies may have been killed from here at that very moment.
  if (noted + anywhere < wanted)
    problems.push(`${wanted} kills, and only ${noted} noted by who was killed and ${anywhere} done from here`);
  const where = [...[...deaths].map(([place, count]) => `${place} ${count}`), `anywhere ${anywhere}`].join(", ");
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(
    `migration kills: ${wanted} of seed ${flags.seed} in ${seconds} s (${where}): ${writes} writes, ${passages} passages in the one space in force ` +
      `(${live}), ${beside === undefined ? "no other" : `the same in ${beside}, which is kept`}; ` +
      `${problems.length} problems; load ${loadavg()[0]!.toFixed(1)}`,
  );
}

type Ledger = {
  /** The last version of each document. */
  readonly expected: Map<string, number>;
  readonly writes: number;
  readonly fails: string[];
  readonly unfinished: string[];
  /** How often it killed itself at which place. */
  readonly deaths: Map<string, number>;
};

/** What the killed process said of its writes and of its ends. */
function readLedger(): Ledger {
  const deaths = new Map<string, number>();
  const expected = new Map<string, number>();
  const begun = new Map<string, number>();
  const fails: string[] = [];
  let writes = 0;
  for (const line of readFileSync(join(dir, "ledger"), "utf8").split("\n")) {
    const [what, name = "", version = "0"] = line.split(" ");
    if (what === "FAIL") fails.push(line);
    if (what === "die") deaths.set(name, (deaths.get(name) ?? 0) + 1);
    if (what === "begin") begun.set(name, Number(version));
    if (what !== "end") continue;
    begun.delete(name);
    expected.set(name, Number(version));
    writes += 1;
  }
  return { expected, writes, fails, unfinished: [...begun.keys()].map((name) => `${name} was begun and not ended`), deaths };
}

/** One space in force, known by the public name, with all that was written and nothing else, in its embedder's numbers; the kept one alike. */
async function check(
  vault: DrillVault,
  expected: ReadonlyMap<string, number>,
): Promise<{ live: string; beside: string | undefined; passages: number }> {
  await vault.vectors.count({ tenantId });
  const { live, beside } = await vault.state.query(internal.generations.spaces, {});
  if (!live) throw new Error("nothing is in force");
  const { past, moving } = await vault.owner.query(api.generations.current, {});
  if (moving) problems.push("a move is not over");
  const { aliases } = await vault.qdrant.getAliases();
  const target = aliases.find(({ alias_name }) => alias_name === "nika_vault")?.collection_name;
  if (target !== live.collection) problems.push(`the public name stands for ${target}, and ${live.collection} is in force`);
  const { collections } = await vault.qdrant.getCollections();
  const leaving = past.filter(({ state }) => state === "leaving").length;
  const there = collections.filter(({ name }) => name.startsWith("nika_vault__")).length;
  if (there > 1 + (beside ? 1 : 0) + leaving) problems.push(`${there} collections, ${leaving} of them waiting to be dropped`);
  const wanted = new Map<string, string>();
  for (const [name, version] of expected) {
    if (version === 0) continue;
    for (const [at, text] of textsOf(name, version, countOf(version)).entries()) wanted.set(`${name} ${at}`, text);
  }
  const passages = await checkSpace(vault, live, wanted);
  if (beside) await checkSpace(vault, beside, wanted);
  return { live: live.collection, beside: beside?.collection, passages };
}

const countOf = (version: number): number => 1 + ((version * 7) % (2 * perDocument));

async function checkSpace({ qdrant, embedders }: DrillVault, space: Space, wanted: ReadonlyMap<string, string>): Promise<number> {
  const embedder = (await embedders.of(space.embedderId))!;
  let count = 0;
  let offset: string | undefined;
  do {
    const page = await qdrant.scroll(space.collection, {
      limit: 512,
      with_payload: true,
      with_vector: ["text"],
      ...(offset !== undefined && { offset }),
    });
    const fresh = await embedder.passages(
      page.points.map(({ payload }) => textToEmbed(payload as never)),
      never,
    );
    for (const [at, { payload, vector }] of page.points.entries()) {
      const key = `${String(payload?.["document_id"])} ${String(payload?.["ordinal"])}`;
      if (wanted.get(key) !== payload?.["text"]) problems.push(`${key} in ${space.collection} is not what was written`);
      if (payload?.["held"] !== "") problems.push(`${key} in ${space.collection} cannot be found`);
      const { text: stored } = vector as { text: number[] };
      if (stored.reduce((sum, value, d) => sum + value * fresh[at]![d]!, 0) < 0.999)
        problems.push(`${key} in ${space.collection} has a vector of another embedder`);
    }
    count += page.points.length;
    offset = typeof page.next_page_offset === "string" ? page.next_page_offset : undefined;
  } while (offset !== undefined);
  if (count !== wanted.size) problems.push(`${space.collection} has ${count} passages, and ${wanted.size} were written`);
  return count;
}

/** When it was begun, and how long it took. */
type Search = { readonly at: number; readonly ms: number };
type Load = { readonly searches: Search[]; failed: number; empty: number; readonly writeMs: number[] };

/** Whether the move may go on, since when, and the searches of both sides. */
type Turns = { isHeld: boolean; since: number; readonly moving: Search[]; readonly held: Search[] };
/** After a turn, what was begun in the other one is still under way. */
const settleMs = 2_000;

/**
 * Where the machine is a guest, its host gives the processors to others at times, for seconds and nearly whole. When that was, and until what had
 * piled up was gone.
 */
const disturbances: { readonly from: number; to: number }[] = [];
const stolenMax = 0.1;
const [lookMs, afterMs] = [500, 4_000];

function watchHost(): NodeJS.Timeout {
  let [last, lastAt] = [ticks(), performance.now()];
  return setInterval(() => {
    const [now, nowAt] = [ticks(), performance.now()];
    const isDisturbed = now && last && now.stolen - last.stolen > stolenMax * (now.all - last.all);
    const before = disturbances.at(-1);
    if (isDisturbed && before && before.to >= lastAt) before.to = nowAt + afterMs;
    else if (isDisturbed) disturbances.push({ from: lastAt, to: nowAt + afterMs });
    [last, lastAt] = [now, nowAt];
  }, lookMs);
}

/** Time that the host took, and all time, in ticks since the start, where the system counts them. */
function ticks(): { readonly stolen: number; readonly all: number } | undefined {
  try {
    const [first = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
    const counts = first.trim().split(/\s+/).slice(1, 9).map(Number);
    return { stolen: counts[7] ?? 0, all: counts.reduce((sum, count) => sum + count, 0) };
  } catch {
    return undefined;
  }
}

/** Told in the middle of a load, too, so each search is held against one disturbance and not against all of them. */
const undisturbed = (searches: readonly Search[]): Search[] =>
  searches.filter(({ at, ms }) => {
    let [low, high] = [0, disturbances.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (disturbances[middle]!.to > at) high = middle;
      else low = middle + 1;
    }
    const next = disturbances[low];
    return next === undefined || next.from >= at + ms;
  });

async function underLoad(): Promise<void> {
  const total = Number(flags.passages ?? 100_000);
  const documents = Math.ceil(total / per);
  const turns: Turns = { isHeld: false, since: 0, moving: [], held: [] };
  const vault = await openDrillVault(dir, undefined, async (signal) => {
    while (turns.isHeld) await delay(20, undefined, { signal });
  });
  await vault.vectors.count({ tenantId });
  const { live: first } = await vault.state.query(internal.generations.spaces, {});
  const filledAt = performance.now();
  const spellings = openSpellings(async () => vault.qdrant, { remembers: false });
  await spellings.keep(tenantId, words);
  const batch: ReturnType<typeof toPoint>[] = [];
  const versions = new Map<string, number>();
  for (let at = 0; at < documents; at += 1) {
    versions.set(`d${at}`, 1);
    const texts = textsOf(`d${at}`, 1, per);
    batch.push(...(await passagesOf(vault, `d${at}`, texts)).map((passage) => toPoint(tenantId, passage)));
    if (batch.length < 500 && at < documents - 1) continue;
    await vault.qdrant.upsert(first!.collection, { wait: true, points: batch.splice(0) });
    if ((at + 1) % Math.ceil(documents / 5) === 0) console.log(`${since(filledAt)} s: ${(at + 1) * per} passages are there`);
  }
  console.log(`${total} passages in ${Math.round((performance.now() - filledAt) / 1000)} s; load ${loadavg()[0]!.toFixed(1)}`);

  const watching = watchHost();
  const quietMs = Number(flags.quiet) * 1_000;
  await measure(vault, versions, () => delay(warmMs));
  const before = await measure(vault, versions, () => delay(quietMs));
  // At once: where this alone is too much, the move tells nothing.
  console.log(`  without a move: ${line(before)}`);
  const moveAt = performance.now();
  const turning =
    flags.turns === undefined
      ? undefined
      : setInterval(
          () => {
            turns.isHeld = !turns.isHeld;
            turns.since = performance.now();
          },
          Number(flags.turns) * 1_000,
        );
  const told = (search: Search): void => {
    if (search.at > turns.since + settleMs) (turns.isHeld ? turns.held : turns.moving).push(search);
  };
  const during = await measure(
    vault,
    versions,
    async (load) => {
      const id = await vault.owner.mutation(api.generations.deploy, { modelId: "bge" });
      const limitMs = Number(flags.limit) * 1_000;
      for (let [told, said] = [0, ""]; ;) {
        const { live, moving, past } = await vault.owner.query(api.generations.current, {});
        if (live?.id === id) break;
        if (!moving) throw new Error(past[0]?.problem ?? "it was given up");
        const twentieth = Math.floor((20 * (moving.done ?? 0)) / (moving.total ?? 1));
        if (twentieth > told || moving.state !== said) {
          [told, said] = [twentieth, moving.state];
          console.log(`  ${since(moveAt)} s: ${said}, ${told * 5} %; ${line(load)}; load ${loadavg()[0]!.toFixed(1)}`);
        }
        if (performance.now() > moveAt + limitMs) {
          problems.push(
            `after ${flags.limit} s the move was ${moving.state}, ${moving.done ?? 0} of ${moving.total ?? 0} passages copied`,
          );
          return;
        }
        await delay(500);
      }
    },
    told,
  );
  clearInterval(turning);
  turns.isHeld = false;
  console.log(`  p99 during / without: ${times(during.searches, before.searches)}`);
  if (turning) {
    console.log(`  in turns, moving: ${taken(turns.moving)}`);
    console.log(`  in turns, held: ${taken(turns.held)}`);
    console.log(`  p99 moving / held: ${times(turns.moving, turns.held)}`);
  }
  if (problems.length > 0) {
    console.log(`  during the move, which did not end: ${line(during)}; load ${loadavg()[0]!.toFixed(1)}`);
    clearInterval(watching);
    await vault.close();
    return;
  }
  const moveMs = performance.now() - moveAt;
  const after = await measure(vault, versions, () => delay(quietMs));
  await checkVersions(vault, versions);
  const backAt = performance.now();
  await vault.owner.mutation(api.generations.rollback, {});
  const recordMs = performance.now() - backAt;
  while ((await targetOf(vault)) !== first!.collection) await delay(5);
  const aliasMs = performance.now() - backAt;
  await checkVersions(vault, versions);
  const { embedder } = await vault.ask(questionOf(7));
  if (embedder.id !== vault.embedders.old.id) problems.push("searches do not go by the model before");
  clearInterval(watching);
  await vault.close();
  console.log(
    `migration under load: ${total} passages, ${flags.searches} searches/s and ${flags.writes} writes/s of ${per} passages asked for`,
  );
  console.log(`  during the move (${(moveMs / 1000).toFixed(1)} s): ${line(during)}`);
  console.log(`  with the old one kept: ${line(after)}`);
  console.log(`  rollback: in force after ${recordMs.toFixed(0)} ms, the public name after ${aliasMs.toFixed(0)} ms`);
  console.log(`  load ${loadavg()[0]!.toFixed(1)}`);
  for (const load of [before, during, after])
    if (load.failed + load.empty > 0) problems.push("a search failed or came back empty");
}

const since = (startedAt: number): string => ((performance.now() - startedAt) / 1000).toFixed(0);

const line = ({ searches, writeMs, failed, empty }: Load): string =>
  `${taken(searches)}, ${failed} failed, ${empty} empty; ${writeMs.length} writes p50 ${at(writeMs, 0.5)} p99 ${at(writeMs, 0.99)} ms`;

/** All of them, and those that the host left alone. */
function taken(searches: readonly Search[]): string {
  const calm = undisturbed(searches);
  const told = (some: readonly Search[]): string => `p50 ${at(some.map(msOf), 0.5)} p99 ${at(some.map(msOf), 0.99)} ms`;
  const others = calm.length < searches.length ? ` (${calm.length} that the host left alone: ${told(calm)})` : "";
  return `${searches.length} searches ${told(searches)}${others}`;
}

const msOf = ({ ms }: Search): number => ms;

function times(some: readonly Search[], others: readonly Search[]): string {
  const ratio = (one: readonly Search[], other: readonly Search[]): string =>
    (at(one.map(msOf), 0.99) / at(other.map(msOf), 0.99)).toFixed(2);
  return `${ratio(some, others)} times; of those that the host left alone ${ratio(undisturbed(some), undisturbed(others))}`;
}

const targetOf = async ({ qdrant }: DrillVault): Promise<string | undefined> =>
  (await qdrant.getAliases()).aliases.find(({ alias_name }) => alias_name === "nika_vault")?.collection_name;

/** Every document has the version that was written last, in the space that is in force. */
async function checkVersions({ qdrant, state }: DrillVault, versions: ReadonlyMap<string, number>): Promise<void> {
  const { live } = await state.query(internal.generations.spaces, {});
  const seen = new Map<string, number>();
  let offset: string | undefined;
  do {
    const page = await qdrant.scroll(live!.collection, {
      limit: 1_000,
      with_payload: ["document_id", "text"],
      ...(offset !== undefined && { offset }),
    });
    for (const { payload } of page.points) {
      const name = String(payload?.["document_id"]);
      if (String(payload?.["text"]).includes(` of ${name}q${versions.get(name)} `)) seen.set(name, (seen.get(name) ?? 0) + 1);
      else problems.push(`${name} in ${live!.collection} is not of version ${versions.get(name)}`);
    }
    offset = typeof page.next_page_offset === "string" ? page.next_page_offset : undefined;
  } while (offset !== undefined);
  const lost = [...versions].filter(([name]) => seen.get(name) !== per).length;
  if (lost > 0) problems.push(`${lost} documents are not whole in ${live!.collection}`);
}

/** Asks and writes at the given rates, whatever the answers take, until `work` is over. */
async function measure(
  vault: DrillVault,
  versions: Map<string, number>,
  work: (load: Load) => Promise<void>,
  told: (search: Search) => void = () => undefined,
): Promise<Load> {
  const from = random(Number(flags.seed));
  const load: Load = { searches: [], failed: 0, empty: 0, writeMs: [] };
  const open = new Set<Promise<void>>();
  const writing = new Set<string>();
  const ask = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      const { passages } = await vault.ask(questionOf(from.below(versions.size) * perDocument + from.below(per)));
      if (passages.length === 0) load.empty += 1;
    } catch (error) {
      load.failed += 1;
      console.log(String(error));
    }
    const search = { at: startedAt, ms: performance.now() - startedAt };
    load.searches.push(search);
    told(search);
  };
  const write = async (): Promise<void> => {
    const name = `d${from.below(versions.size)}`;
    if (writing.has(name)) return;
    writing.add(name);
    const startedAt = performance.now();
    const version = versions.get(name)! + 1;
    const passages = await passagesOf(vault, name, textsOf(name, version, per));
    await vault.vectors.replace({ tenantId, documentId: name }, passages, never);
    versions.set(name, version);
    writing.delete(name);
    load.writeMs.push(performance.now() - startedAt);
  };
  const every = (perSecond: number, one: () => Promise<void>): NodeJS.Timeout => {
    let [begun, done] = [performance.now(), 0];
    return setInterval(() => {
      for (; done < ((performance.now() - begun) * perSecond) / 1_000; done += 1) {
        const doing = one().catch((error: unknown) => void problems.push(`a write failed: ${String(error)}`));
        open.add(doing);
        void doing.then(() => open.delete(doing));
      }
    }, 5);
  };
  const timers = [every(Number(flags.searches), ask), every(Number(flags.writes), write)];
  try {
    await work(load);
  } finally {
    for (const timer of timers) clearInterval(timer);
    await Promise.all(open);
  }
  return load;
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}

try {
  if (flags.load) await underLoad();
  else await killed(Number(flags.kills ?? 100));
} finally {
  last?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
for (const problem of problems) console.log(`PROBLEM ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
