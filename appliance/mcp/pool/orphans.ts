/**
 * Bare servers of an earlier life: one that ignores the end of its input goes on when Nika is killed. Each is noted while it runs, and ended at the
 * next start if it is still that very process. Only where /proc tells which process a pid is; elsewhere nothing is noted and nothing ended.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { keep, sha256 } from "./kept.ts";

/** Together of one process alone: `startedAt` is in kernel ticks since the machine started. Of the command line only the SHA-256 is kept. */
type Identity = { readonly boot: string; readonly startedAt: string; readonly command: string };
type Noted = Identity & { readonly server: string };

export type Orphans = {
  /** Resolves when those of an earlier life were ended, or seen to be others. */
  readonly gone: Promise<void>;
  /** Notes a process that runs, until `forget`. */
  note(pid: number, server: string): void;
  forget(pid: number): void;
};

/** Many servers name themselves anew while they start; by then they have. */
const namedMs = 5_000;

/** `endMs`: how long one has after TERM before it is killed. Its whole group ends with it. */
export function openOrphans(
  { dataDir, log }: { readonly dataDir: string; readonly log: (line: string) => void },
  endMs: number,
): Orphans {
  const kept = keep<Record<string, Noted>>(join(dataDir, "mcp", "processes.json"), log);
  const timers = new Map<number, NodeJS.Timeout>();
  const earlier = Object.entries(kept.value);

  // A server is not refused because it cannot be noted.
  const save = (): void => {
    try {
      kept.save();
    } catch (error) {
      log(`mcp: which processes run could not be written down: ${String(error)}`);
    }
  };
  const orphans = {
    note(pid: number, server: string): void {
      const first = identityOf(pid);
      if (!first) return;
      kept.value[pid] = { ...first, server };
      save();
      const again = (): void => {
        const identity = identityOf(pid);
        if (!identity || identity.startedAt !== first.startedAt || identity.command === first.command) return;
        kept.value[pid] = { ...identity, server };
        save();
      };
      timers.set(pid, setTimeout(again, namedMs).unref());
    },
    forget(pid: number): void {
      clearTimeout(timers.get(pid));
      timers.delete(pid);
      if (!kept.value[pid]) return;
      delete kept.value[pid];
      save();
    },
  };
  const end = async ([name, noted]: readonly [string, Noted]): Promise<void> => {
    const pid = Number(name);
    const isThere = (): boolean => same(noted, identityOf(pid));
    const wasThere = isThere();
    if (wasThere) log(`mcp ${noted.server}: process ${pid} was left running by an earlier life of Nika and is ended`);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      if (!isThere()) break;
      kill(pid, signal);
      await until(() => !isThere(), endMs);
    }
    // What it left behind in its group, unless somebody new has the number.
    if (wasThere && !identityOf(pid)) kill(pid, "SIGKILL");
    // One that cannot be ended is tried again at the next start; a new one may have the pid by now.
    if (!isThere() && same(kept.value[pid], noted)) orphans.forget(pid);
  };
  return { ...orphans, gone: Promise.all(earlier.map(end)).then(() => undefined) };
}

const same = (left: Identity | undefined, right: Identity | undefined): boolean =>
  left !== undefined && left.boot === right?.boot && left.startedAt === right.startedAt && left.command === right.command;

/** Undefined for one that is gone, also when nobody has asked how it ended, and where there is no /proc. */
function identityOf(pid: number): Identity | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The 22nd field; the second is the name in parentheses, which may itself contain some: proc_pid_stat(5).
    const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return command === "" || startedAt === undefined ? undefined : { boot, startedAt, command: sha256(command) };
  } catch {
    return undefined;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    // Each bare server leads a group of its own.
    process.kill(-pid, signal);
  } catch {
    // All of it is gone.
  }
}

async function until(what: () => boolean, ms: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < ms && !what(); waitedMs += 50)
    await new Promise((done) => {
      setTimeout(done, 50);
    });
}
