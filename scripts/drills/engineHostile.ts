/**
 * The hostile drill: every kind of function does harm in every way it can by mistake, one after the other, while clients go on; and how
 * long those wait, beside how long they wait when all is quiet. `node scripts/drills/engineHostile.ts [QUIET_SECONDS]`
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ownEngine } from "../../tests/appliance/engine/ownEngine.ts";

const [quietSeconds = 10] = process.argv.slice(2).map(Number);
const ways = [
  "loop",
  "heap",
  "buffers",
  "never",
  "exit",
  "abort",
  "deep",
  "hugeResult",
  "hugeArgument",
  "throwsAnything",
  "lostRejection",
  "lostThrow",
];
const kinds = [
  ["query", "bad:asQuery"],
  ["mutation", "bad:asMutation"],
  ["action", "bad:asAction"],
  ["action", "badNode:asNodeAction"],
  ["http", ""],
] as const;
const good = [
  ["query", "good:count"],
  ["mutation", "good:bump"],
  ["action", "good:act"],
] as const;
/** Two clients of each kind, each so often. */
const lanes = 2;
const everyMs = 20;
/** Actions may take ten minutes; the drill does not wait for those that never end. */
const patienceMs = 20_000;
const argumentBytes = 20 * 1024 * 1024;

await using engine = await ownEngine({ functionsDir: join(import.meta.dirname, "../../tests/appliance/engine/hostile/app") });
const problems: string[] = [];
const state = { isOver: false, waits: new Map<string, number[]>() };

const lane = async (kind: string, path: string, name: string): Promise<void> => {
  for (let turn = 0; !state.isOver; turn++) {
    const since = performance.now();
    const answer = await fetch(`${engine.url}/api/${kind}`, { method: "POST", body: JSON.stringify({ path, args: { name } }) });
    const { status, errorMessage } = (await answer.json()) as { status: string; errorMessage?: string };
    if (status !== "success") problems.push(`${path} failed: ${errorMessage ?? answer.status}`);
    state.waits.set(kind, [...(state.waits.get(kind) ?? []), performance.now() - since]);
    await pause(everyMs);
  }
};
const going = good.flatMap(([kind, path]) => Array.from({ length: lanes }, (_, at) => lane(kind, path, `${kind}${at}`)));

await pause(1000); // Threads start.
state.waits.clear();
await pause(quietSeconds * 1000);
const quiet = summed(state.waits);
state.waits.clear();
let ended = 0;
for (const way of ways)
  for (const [kind, path] of kinds) {
    const outcome = await harm(kind, path, way);
    if (outcome === "no end") {
      if (!(way === "loop" || way === "never" || way === "lostThrow") || (kind !== "action" && kind !== "http"))
        problems.push(`${kind} ${path} ${way} was not ended`);
    } else ended++;
    console.log(`${way}, ${path || "HTTP action"}: ${outcome}`);
  }
const beside = summed(state.waits);
state.isOver = true;
await Promise.all(going);
for (const problem of problems) console.error(problem);
for (const [kind, { p50, p99, max }] of beside) {
  const before = quiet.get(kind) ?? { p50: 0, p99: 0, max: 0 };
  console.log(
    `${kind}: quiet p50 ${before.p50.toFixed(1)} p99 ${before.p99.toFixed(1)} ms; beside harm p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms, ` +
      `longest ${max.toFixed(0)} ms; p99 ${(p99 / before.p99).toFixed(1)} times quiet`,
  );
}
console.log(`hostile: ${ways.length * kinds.length} harmful calls, ${ended} ended while we waited, ${problems.length} problems`);
await engine.kill();
process.exit(problems.length === 0 ? 0 : 1);

/** What became of it, in a few words. */
async function harm(kind: (typeof kinds)[number][0], path: string, way: string): Promise<string> {
  const signal = AbortSignal.timeout(kind === "action" || kind === "http" ? patienceMs / 4 : patienceMs);
  const args = way === "hugeArgument" ? { way: "deep", ballast: "x".repeat(argumentBytes) } : { way };
  try {
    const answer =
      kind === "http"
        ? await fetch(`${engine.url}/http/bad?way=${way}`, { signal })
        : await fetch(`${engine.url}/api/${kind}`, { method: "POST", body: JSON.stringify({ path, args }), signal });
    const text = await answer.text();
    return `${answer.status} ${text.replaceAll(/\s+/g, " ").slice(0, 140)}`;
  } catch (error) {
    return signal.aborted ? "no end" : String(error);
  }
}

function summed(waits: ReadonlyMap<string, readonly number[]>): Map<string, { p50: number; p99: number; max: number }> {
  return new Map(
    [...waits].map(([kind, list]) => {
      const sorted = list.toSorted((a, b) => a - b);
      const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      return [kind, { p50: at(0.5), p99: at(0.99), max: at(1) }];
    }),
  );
}
