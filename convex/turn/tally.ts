import type { DatabaseReader, DatabaseWriter } from "../_generated/server.js";

export type Noun = "documents" | "jobs" | "events" | "uses" | "machines";

/** Counts changes during one mutation and writes them once at its end, so that counting never costs a scan. */
export type Tally = {
  readonly add: (noun: Noun, key: string, by: number) => void;
  readonly write: (db: DatabaseWriter) => Promise<void>;
};

export function openTally(): Tally {
  const changes = new Map<Noun, Map<string, number>>();
  return {
    add(noun, key, by) {
      const ofNoun = changes.get(noun) ?? new Map<string, number>();
      ofNoun.set(key, (ofNoun.get(key) ?? 0) + by);
      changes.set(noun, ofNoun);
    },
    async write(db) {
      for (const [noun, ofNoun] of changes) await writeNoun(db, noun, ofNoun);
      changes.clear();
    },
  };
}

async function writeNoun(db: DatabaseWriter, noun: Noun, changes: ReadonlyMap<string, number>): Promise<void> {
  const moved = [...changes].filter(([, by]) => by !== 0);
  if (moved.length === 0) return;
  const row = await findRow(db, noun);
  const counts = { ...row?.counts };
  for (const [key, by] of moved) counts[key] = (counts[key] ?? 0) + by;
  if (row) await db.patch(row._id, { counts });
  else await db.insert("tallies", { noun, counts });
}

const findRow = (db: DatabaseReader, noun: Noun) =>
  db
    .query("tallies")
    .withIndex("by_noun", (q) => q.eq("noun", noun))
    .unique();

/** How many there are of `key`; zero when none was ever counted. */
export async function readTally(db: DatabaseReader, noun: Noun): Promise<(key: string) => number> {
  const row = await findRow(db, noun);
  return (key) => row?.counts[key] ?? 0;
}
