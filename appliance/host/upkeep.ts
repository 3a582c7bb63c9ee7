/** What the machine's cron may do for Nika. A closed catalogue: no words of anybody's ever become a command line. */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { NikaError } from "../../convex/model/error.ts";
import type { Script } from "../../convex/model/schedule.ts";
import { backupState } from "../backup.ts";

export type UpkeepOptions = { readonly dataDir: string; readonly now: number };

/** Smaller ones are not worth a file of their own. */
const logBytesMin = 1024 * 1024;
const logsKept = 5;
const backupsKept = 7;
/** Below either, Nika and SQLite begin to fail in ways nobody likes to debug. */
const freeBytesMin = 2 * 1024 ** 3;
const freeShareMin = 0.05;

const scripts: Readonly<Record<Script, (options: UpkeepOptions) => Promise<string>>> = {
  logs: rotateLogs,
  backup,
  disk: async (options) => checkDisk(options),
};

/** Does it and says in a sentence what was done. */
export async function runUpkeep(script: Script, options: UpkeepOptions): Promise<string> {
  return scripts[script](options);
}

/** Copies and empties: Nika goes on writing to the file it has open. */
async function rotateLogs({ dataDir }: UpkeepOptions): Promise<string> {
  const dir = join(dataDir, "log");
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => /\.(?:log|jsonl)$/u.test(name)) : [];
  const rotated: string[] = [];
  for (const name of names) {
    const path = join(dir, name);
    if (statSync(path).size < logBytesMin) continue;
    rmSync(`${path}.${logsKept}.gz`, { force: true });
    for (let i = logsKept - 1; i >= 1; i--)
      if (existsSync(`${path}.${i}.gz`)) renameSync(`${path}.${i}.gz`, `${path}.${i + 1}.gz`);
    await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.1.gz`, { mode: 0o600 }));
    truncateSync(path);
    rotated.push(name);
  }
  return rotated.length === 0 ? "No log was large enough to rotate." : `Rotated ${rotated.join(", ")}.`;
}

async function backup({ dataDir, now }: UpkeepOptions): Promise<string> {
  const dir = join(dataDir, "backups");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const name = `state-${new Date(now).toISOString().replaceAll(/[:.]/gu, "-")}.tar`;
  const { sizeBytes } = await backupState(join(dataDir, "engine"), join(dir, name));
  const mine = readdirSync(dir)
    .filter((file) => /^state-[\dTZ-]+\.tar$/u.test(file))
    .toSorted();
  for (const old of mine.slice(0, -backupsKept)) rmSync(join(dir, old));
  return `Saved ${name}, ${Math.max(1, Math.round(sizeBytes / 1024))} kB; ${Math.min(mine.length, backupsKept)} are kept.`;
}

function checkDisk({ dataDir }: UpkeepOptions): string {
  const { bavail, blocks, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const share = bavail / Math.max(1, blocks);
  const told = `${(free / 1024 ** 3).toFixed(1)} GB (${Math.round(share * 100)} %) are free where Nika keeps its data`;
  if (free < freeBytesMin || share < freeShareMin) throw new NikaError("full", `Only ${told}; make room before it runs out.`);
  return `${told}.`;
}
