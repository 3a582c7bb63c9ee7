/**
 * The commits of the last moments, for results that were computed at a snapshot a little behind: was anything they read written since?
 * Bounded by age and size; whoever asks about a time before its start is told so.
 */
import type { Commit, ReadRange } from "../model/commit.ts";
import { openRangeIndex } from "./rangeIndex.ts";

/** Long enough for the slowest query (15 s) and for a client's batch of consistent queries. */
const keptNs = 30_000_000_000n;
/** About 20 MB of keys. A busier half minute keeps less, and costs the slowest queries a second run. */
const writesMax = 200_000;

export type WriteLog = {
  add(commit: Commit): void;
  /** Time of the first commit after `ts` that touches one of the reads; undefined when none did; `ts` itself when that is forgotten. */
  firstConflict(reads: readonly ReadRange[], ts: bigint): bigint | undefined;
};

export function openWriteLog(): WriteLog {
  let commits: Commit[] = [];
  let writeCount = 0;
  let forgottenTs = 0n;
  const forget = (nowTs: bigint): void => {
    let drop = 0;
    for (const commit of commits) {
      if (commit.ts > nowTs - keptNs && writeCount <= writesMax) break;
      writeCount -= commit.writes.length;
      forgottenTs = commit.ts;
      drop++;
    }
    if (drop > 0) commits = commits.slice(drop);
  };
  return {
    add(commit) {
      if (commit.isGap) {
        commits = [];
        writeCount = 0;
        forgottenTs = commit.ts;
        return;
      }
      commits.push(commit);
      writeCount += commit.writes.length;
      // In steps, so that a commit does not pay for copying the whole log.
      if (writeCount > writesMax || (commits.length & 255) === 0) forget(commit.ts);
    },
    firstConflict(reads, ts) {
      if (reads.length === 0) return undefined;
      if (ts < forgottenTs) return ts;
      const start = firstAfter(commits, ts);
      if (start === commits.length) return undefined;
      const index = openRangeIndex<true>();
      index.add(reads, true);
      for (const commit of commits.slice(start)) {
        let isHit = false;
        for (const write of commit.writes) index.visit(write, () => (isHit = true));
        if (isHit) return commit.ts;
      }
      return undefined;
    },
  };
}

/** Position of the first commit later than `ts`; commits are in order of time. */
function firstAfter(commits: readonly Commit[], ts: bigint): number {
  let low = 0;
  let high = commits.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((commits[middle] as Commit).ts <= ts) low = middle + 1;
    else high = middle;
  }
  return low;
}
