/**
 * Scaling end to end on this machine: a Nika with one place reads a heap of files; a second worker is rented from the provider `local`, joins,
 * takes part, is told to stop when nothing is left, and is gone. `--files N --kb N`. Prints a line a stage; fails when one does not come.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { environmentWith } from "../../appliance/config.ts";
import type { ScalingView } from "../../convex/model/scaling.ts";

const { values } = parseArgs({ options: { files: { type: "string", default: "240" }, kb: { type: "string", default: "300" } } });
const dir = mkdtempSync(join(tmpdir(), "nika-scale-"));
const data = join(dir, "data");
const program = join(import.meta.dirname, "../../appliance/cli/nika.ts");
const began = Date.now();
const stageMs = 300_000;

const environment = environmentWith({
  NIKA_SLOTS: "1",
  NIKA_POLITE: "0",
  NIKA_CRON_USER: "",
  NIKA_MCP_FILE: join(dir, "none.json"),
});
const run = promisify(execFile);
async function nika(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [program, "--data", data, ...words], { env: environment, maxBuffer: 64 << 20 });
  return stdout;
}
async function told<T>(...words: readonly string[]): Promise<T> {
  return JSON.parse(await nika(...words, "--json")) as T;
}
const say = (stage: string, more: object = {}): void =>
  console.log(JSON.stringify({ stage, seconds: Math.round((Date.now() - began) / 1000), ...more }));

async function until<T>(stage: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const limit = Date.now() + stageMs; Date.now() < limit; await delay(1_000)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`It did not come to this in time: ${stage}.\n${await nika("scale")}`);
}

type Workers = {
  readonly workers: readonly { name: string; isUp: boolean; isJoined: boolean; holds: number }[];
  readonly tokens: readonly { name: string }[];
};
const view = (): Promise<ScalingView> => told<ScalingView>("scale");
/** Processes of rented machines of this data folder. */
const machineProcesses = (): number =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/u.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").includes(`${data}/gpu/machines/`);
    } catch {
      return false;
    }
  }).length;

try {
  mkdirSync(join(data, "gpu"), { recursive: true });
  writeFileSync(join(data, "gpu/local.json"), JSON.stringify({ backend: "process" }));
  const heap = join(dir, "heap");
  mkdirSync(heap);
  const words = "the mill by the river was sold in autumn and its ledger names a buyer whose debts were paid in grain".split(" ");
  for (let file = 0; file < Number(values.files); file++) {
    const lines = Array.from({ length: Number(values.kb) * 10 }, (_, line) => {
      const at = (file * 31 + line * 7) % words.length;
      return `${[...words.slice(at), ...words.slice(0, at)].join(" ")} ${file}-${line}.`;
    });
    writeFileSync(join(heap, `ledger-${file}.txt`), lines.join("\n"));
  }
  await nika("up", "--port", "0", "--no-link");
  say("up");
  await nika("scale", "set", "--providers", "local", "--max", "1", "--wait", "0.5", "--queue", "4");
  const off = await view();
  if (off.settings.isOn || off.look?.pool.length) throw new Error("Something is rented though nobody said so.");
  const reading = nika("ingest", heap, "--wait", "--json").catch((error: unknown) =>
    say("ingest ended", { error: String(error) }),
  );
  await nika("scale", "on");
  const asked = await until("asks for a machine", async () => (await view()).decisions.find(({ add }) => add > 0));
  say("asks for a machine", { says: asked.says, where: asked.where });
  const joined = await until("a second worker takes jobs", async () =>
    (await told<Workers>("worker", "list")).workers.find(({ isJoined, isUp, holds }) => isJoined && isUp && holds > 0),
  );
  say("a second worker takes jobs", { name: joined.name, holds: joined.holds, processes: machineProcesses() });
  await reading;
  say("all is read");
  const dismissed = await until("lets it go", async () => (await view()).decisions.find(({ remove }) => remove > 0));
  say("lets it go", { says: dismissed.says });
  await until("it is gone", async () => {
    const { workers, tokens } = await told<Workers>("worker", "list");
    const machines = await told<readonly unknown[]>("gpu", "list").catch(() => []);
    const isGone = !workers.some(({ isJoined }) => isJoined) && tokens.length === 0 && machineProcesses() === 0;
    return isGone ? machines : undefined;
  });
  say("it is gone", { processes: machineProcesses() });
  say("decided the same again", {
    why: (await told<readonly { isSame: boolean }[]>("scale", "why")).every(({ isSame }) => isSame),
  });
} finally {
  await nika("stop").catch(() => undefined);
  rmSync(dir, { recursive: true, force: true });
}
say("over", { processes: machineProcesses() });
