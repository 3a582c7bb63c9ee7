/** The schedules that the machine's own cron fires: their files and their block in the crontab, brought in line with the state. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import type { ScheduleView } from "../../convex/model/schedule.ts";
import { blockIn, driftOf, withBlock, type Crontab, type Drift } from "./crontab.ts";
import { toCronLines } from "./cronLines.ts";
import { dropJob, hostDir, writeJob } from "./hostRun.ts";

export type HostOptions = {
  readonly dataDir: string;
  readonly crontab: Crontab;
  /** The machine's, by which cron reads its lines. */
  readonly zone: string;
  readonly now: () => number;
  /** How cron runs `nika`, as an argument vector. */
  readonly nika: readonly string[];
};

export type HostReport = {
  readonly lines: readonly string[];
  /** Absent when the crontab is as it should be. */
  readonly drift?: Drift;
};

export type HostSchedules = {
  /** Fails, changing nothing, when cron cannot say one of them or is not there. */
  sync(schedules: readonly ScheduleView[]): Promise<void>;
  /** Compares only. */
  look(schedules: readonly ScheduleView[]): Promise<HostReport>;
};

export function openHostSchedules({ dataDir, crontab, zone, now, nika }: HostOptions): HostSchedules {
  const name = blockName(dataDir);
  const linesOf = (schedules: readonly ScheduleView[]): string[] =>
    onHost(schedules).flatMap(({ id, rule }) =>
      toCronLines(rule, { now: now(), zone }).map((line) => `${line} ${[...nika, "host", "run", id].map(quoted).join(" ")}`),
    );
  return {
    async sync(schedules) {
      const lines = linesOf(schedules);
      const before = await crontab.read();
      const kept = onHost(schedules);
      for (const { id, name: called, rule, action } of kept)
        if (action.type === "upkeep") writeJob(dataDir, { id, name: called, rule, script: action.script });
      if (lines.length > 0 || blockIn(before, name) !== undefined) {
        const after = withBlock(before, name, lines);
        if (after !== before) await crontab.write(after);
      }
      const ids = new Set<string>(schedules.filter(({ backend }) => backend === "host").map(({ id }) => id));
      for (const id of jobIds(dataDir)) if (!ids.has(id)) dropJob(dataDir, id);
    },
    async look(schedules) {
      const lines = linesOf(schedules);
      const drift = driftOf(await crontab.read(), name, lines);
      return { lines, ...(drift && { drift }) };
    },
  };
}

const onHost = (schedules: readonly ScheduleView[]): ScheduleView[] =>
  schedules
    .filter(({ backend, isEnabled, nextAts }) => backend === "host" && isEnabled && nextAts.length > 0)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** Short, and another one for each data directory. */
export const blockName = (dataDir: string): string => createHash("sha256").update(dataDir).digest("hex").slice(0, 8);

function jobIds(dataDir: string): string[] {
  try {
    return readdirSync(hostDir(dataDir)).flatMap((file) => (file.endsWith(".json") ? [file.slice(0, -5)] : []));
  } catch {
    return [];
  }
}

/** For the shell of cron, which besides takes a bare per cent sign for the end of the line. */
function quoted(word: string): string {
  const text = /^[\w./:=@-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  return text.replaceAll("%", "\\%");
}
