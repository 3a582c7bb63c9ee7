/**
 * A rented machine works for Nika, end to end and without any address of Nika's: Scaleway is emulated on a socket of this machine (simulated:
 * nothing is rented), its servers are containers that hold an SSH server and no Node (vm.ts). One boots with what Nika's own client gave it, is
 * signed in to by the key that was made for it, gets the agent and Nika through the way that is laid, joins, reads documents, is told to stop, and
 * is gone by its provider's word. `--files N --kb N`; `--packed FOLDER` keeps Nika packed there from one time to the next. Prints a line a stage; fails when one does not come.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { environmentWith } from "../../appliance/config.ts";
import type { ScalingView } from "../../convex/model/scaling.ts";
import { openFakeScaleway } from "../../tests/fakes/gpu/scaleway.ts";
import { buildVm, startVm, vmProblem, type Vm } from "./vm.ts";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "80" },
    kb: { type: "string", default: "60" },
    packed: { type: "string" },
  },
});
const problem = await vmProblem();
if (problem !== undefined) {
  console.log(`skipped: ${problem}`);
  process.exit(0);
}

const dir = mkdtempSync(join(tmpdir(), "nika-rented-"));
const data = join(dir, "data");
const program = join(import.meta.dirname, "../../appliance/cli/nika.ts");
const began = Date.now();
const stageMs = 240_000;
const run = promisify(execFile);
const say = (stage: string, more: object = {}): void =>
  console.log(JSON.stringify({ stage, seconds: Math.round((Date.now() - began) / 1000), ...more }));

const vms = new Map<string, Vm | undefined>();
const booting = new Set<Promise<unknown>>();
const cloud = await openFakeScaleway({
  now: () => Date.now(),
  bootMs: 2_000,
  endMs: 2_000,
  addressOf: (id) => vms.get(id)?.address,
});
/** What the vendor does behind its API: boots what runs, takes away what was ended. */
const vendor = setInterval(() => {
  for (const [id, boot] of cloud.userData) {
    const state = cloud.stateOf(id);
    if (state === "running" && !vms.has(id)) {
      vms.set(id, undefined);
      const started = startVm(`nika-drill-${id.slice(-12)}`, boot).then(
        (vm) => vms.set(id, vm),
        (error: unknown) => console.log(String(error)),
      );
      booting.add(started);
    }
    const vm = vms.get(id);
    if (vm && (state === "ending" || state === "gone")) {
      vms.set(id, undefined);
      void vm.end();
    }
  }
}, 300);

// Scaleway's client asks the emulator instead; nothing else of Nika is changed, and nothing tells it where it could be reached.
const redirect = join(dir, "redirect.mjs");
writeFileSync(
  redirect,
  `const real = globalThis.fetch;
const to = (url) => String(url).replace("https://api.scaleway.com", ${JSON.stringify(cloud.url)});
globalThis.fetch = (what, options) => real(what instanceof Request ? new Request(to(what.url), what) : to(what), options);
`,
);
const environment = environmentWith({
  NIKA_SLOTS: "1",
  NIKA_POLITE: "0",
  NIKA_CRON_USER: "",
  NIKA_MCP_FILE: join(dir, "none.json"),
  NIKA_PUBLIC_URL: "",
  NODE_OPTIONS: `--import=${redirect}`,
});
async function nika(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [program, "--data", data, ...words], { env: environment, maxBuffer: 64 << 20 });
  return stdout;
}
async function told<T>(...words: readonly string[]): Promise<T> {
  return JSON.parse(await nika(...words, "--json")) as T;
}
async function until<T>(stage: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const limit = Date.now() + stageMs; Date.now() < limit; await delay(1_000)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`It did not come to this in time: ${stage}.\n${await nika("scale")}\n${await nika("gpu", "list")}`);
}
type Workers = {
  readonly workers: readonly { name: string; isUp: boolean; isJoined: boolean; holds: number }[];
  readonly tokens: readonly { name: string }[];
};

let up: Promise<unknown> | undefined;
let ended: Promise<void> | undefined;
/** Nothing of it is left, whatever ends it: what is being started is waited for, or it would be there afterwards. */
const end = (): Promise<void> => (ended ??= endAll());
async function endAll(): Promise<void> {
  clearInterval(vendor);
  await Promise.allSettled([up, ...booting]);
  if (up) await nika("stop").catch((error: unknown) => console.log(`The appliance could not be stopped: ${String(error)}`));
  await Promise.all([...vms.values()].map(async (vm) => vm?.end()));
  await cloud.close();
  rmSync(dir, { recursive: true, force: true });
}
const giveUp = (why: unknown): void => {
  console.log(String(why));
  void end().finally(() => process.exit(1));
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, giveUp);
// Also of a promise that nobody waits for any more.
process.on("uncaughtException", giveUp);

try {
  await buildVm();
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
  mkdirSync(join(data, "cache"), { recursive: true });
  if (values.packed !== undefined) {
    mkdirSync(values.packed, { recursive: true });
    symlinkSync(resolve(values.packed), join(data, "cache/nika"));
  }
  writeFileSync(join(dir, "scaleway.json"), JSON.stringify(cloud.credentials), { mode: 0o600 });
  up = nika("up", "--port", "0", "--no-link");
  await up;
  await nika("gpu", "connect", "scaleway", "--credentials-file", join(dir, "scaleway.json"));
  await nika("scale", "set", "--providers", "scaleway", "--min", "1", "--max", "1", "--wait", "0.5", "--queue", "4");
  say("up, and nobody told Nika an address");
  await nika("scale", "on");
  const asked = await until("asks for a machine", async () => {
    const { decisions } = await told<ScalingView>("scale");
    return decisions.find(({ add }) => add > 0) && vms.size > 0 ? decisions.find(({ add }) => add > 0) : undefined;
  });
  say("asks for a machine, once Nika is packed for it", { where: asked.where });
  const vm = await until("it boots", async () => [...vms.values()].find((one) => one !== undefined));
  say("it boots", { address: vm.address });
  const joined = await until("its worker joins", async () =>
    (await told<Workers>("worker", "list")).workers.find(({ isJoined, isUp }) => isJoined && isUp),
  );
  say("its worker joins", { name: joined.name });
  const processes = await vm.processes();
  // What every user of the machine sees.
  if (/nkw_|nkg_|PRIVATE|tskey/u.test(processes)) throw new Error(`A secret stands among the words of a process.\n${processes}`);
  const reading = nika("ingest", heap, "--wait", "--json");
  await until("it takes jobs", async () =>
    (await told<Workers>("worker", "list")).workers.find(({ isJoined, holds }) => isJoined && holds > 0),
  );
  say("it reads documents");
  await reading;
  const { passages } = await told<{ passages: readonly { text: string }[] }>("search", "who bought the mill");
  if (passages.length === 0) throw new Error("Nothing is found of what was read.");
  say("all is read and found", { passages: passages.length });
  await nika("scale", "off");
  await until("it is gone", async () => {
    const { workers, tokens } = await told<Workers>("worker", "list");
    const isGone = !workers.some(({ isJoined, isUp }) => isJoined && isUp) && tokens.length === 0;
    const ended = [...cloud.userData.keys()].every((id) => cloud.stateOf(id) === "gone");
    return isGone && ended && [...vms.values()].every((one) => one === undefined) ? true : undefined;
  });
  say("it was told to stop, and is gone by its vendor's word", { machines: cloud.userData.size });
} finally {
  await end();
}
