/**
 * A part of the drill of migrations, to be killed: `migrationProcess.ts DIR PASSAGES SEED`. It writes, asks and moves the vault between two
 * models, over and over, and goes back or gives up now and then; told where to die it does so the next time it comes there.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { api } from "../../convex/_generated/api.js";
import { random } from "../../tests/appliance/vectors/random.ts";
import { openDrillVault, passagesOf, perDocument, questionOf, tenantId, textsOf, type Place } from "./migrationVault.ts";

const [dir = "", passages = "600", seed = "1"] = process.argv.slice(2);
const never = new AbortController().signal;
const ledger = join(dir, "ledger");
const note = (line: string): void => appendFileSync(ledger, `${line}\n`);
const from = random(Number(seed));
const documents = Number(passages) / perDocument;

let dieAt: Place | undefined;
const ending = new AbortController();
process.on("message", (order: { dieAt?: Place; end?: true }) => {
  dieAt = order.dieAt;
  if (order.end) ending.abort();
});
const vault = await openDrillVault(dir, (place) => {
  if (dieAt !== place) return;
  note(`die ${place}`);
  process.kill(process.pid, "SIGKILL");
});
const { owner, vectors } = vault;

/** What the control plane would have done again: the write that was begun and not said to be over. */
async function apply(name: string, version: number): Promise<void> {
  note(`begin ${name} ${version}`);
  if (version === 0) await vectors.remove({ tenantId, documentId: name });
  else {
    const count = 1 + ((version * 7) % (2 * perDocument));
    await vectors.replace({ tenantId, documentId: name }, await passagesOf(vault, name, textsOf(name, version, count)), never);
  }
  note(`end ${name} ${version}`);
}

const said = existsSync(ledger) ? readFileSync(ledger, "utf8").split("\n") : [];
const open = new Map<string, number>();
let lastVersion = 0;
for (const line of said) {
  const [what, name = "", version = "0"] = line.split(" ");
  if (what === "begin") open.set(name, Number(version));
  if (what === "end") open.delete(name);
  lastVersion = Math.max(lastVersion, Number(version));
}
for (const [name, version] of open) await apply(name, version);
if (said.length === 0) for (let at = 0; at < documents; at += 1) await apply(`d${at}`, 1);
process.send?.("ready");

async function writing(): Promise<void> {
  while (!ending.signal.aborted) {
    const at = from.below(documents);
    // The first is never touched: it is what searches must always find.
    if (at > 0) {
      const version = from.next() < 0.2 ? 0 : (lastVersion += 1);
      await apply(`d${at}`, version);
      if (version > 0 && from.next() < 0.3) {
        const { passages: hits } = await vault.ask(`d${at}q${version}`);
        if (!hits.some(({ documentId }) => documentId === `d${at}`))
          note(`FAIL d${at} ${version} is not found after it was written`);
      }
    }
    await delay(30);
  }
}

async function asking(): Promise<void> {
  while (!ending.signal.aborted) {
    const { passages: hits } = await vault.ask(`${questionOf(from.below(100))} d0q1`);
    if (!hits.some(({ documentId }) => documentId === "d0")) note("FAIL a search came back without what it must find");
    await delay(15);
  }
}

async function moving(): Promise<void> {
  for (;;) {
    const isEnding = ending.signal.aborted;
    const { live, moving: on, kept } = await owner.query(api.generations.current, {});
    if (isEnding && !on) return;
    if (on?.isWorkedOn === false) await owner.mutation(api.generations.deploy, { modelId: on.wanted });
    else if (on && !isEnding && from.next() < 0.01) await owner.mutation(api.generations.rollback, {});
    else if (!on && kept && !isEnding) await owner.mutation(api.generations.rollback, {});
    else if (!on && live)
      await owner
        .mutation(api.generations.deploy, { modelId: live.wanted === "bge" ? "baseline" : "bge" })
        .catch(() => undefined);
    await delay(50);
  }
}

await Promise.all([writing(), asking(), moving()]);
await vault.close();
process.send?.("ended");
process.disconnect();
