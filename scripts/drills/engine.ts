/**
 * The engine's drills, one after the other: kills, overwrites, fuzz, random clients. `node scripts/drills/engine.ts [--short] [SEED]`; the
 * short ones take a minute and are part of `.ci/run`. The seed is told, so that what fails can be tried again.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { join } from "node:path";

const isShort = process.argv.includes("--short");
const given = process.argv.slice(2).find((one) => /^\d+$/.test(one));
const seed = given ?? String(randomInt(2 ** 31));

/** What each is called with. */
const drills: readonly { readonly file: string; readonly short: readonly string[]; readonly long: readonly string[] }[] = [
  { file: "engineKills.ts", short: ["5", seed], long: ["500", seed] },
  { file: "engineOverwrites.ts", short: ["20000"], long: ["1000000"] },
  { file: "engineFuzz.ts", short: ["5000", seed], long: ["100000", seed] },
  { file: "engineSync.ts", short: ["1", seed], long: ["50", seed] },
];

console.log(`engine drills: seed ${seed}`);
const failed = drills.filter(({ file, short, long }) => {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, file), ...(isShort ? short : long)], {
    stdio: "inherit",
  });
  return status !== 0;
});
for (const { file } of failed) console.error(`engine drills: ${file} failed`);
process.exit(failed.length === 0 ? 0 : 1);
