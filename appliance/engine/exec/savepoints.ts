/** Savepoints that nest, by depth. */
import type { DatabaseSync, StatementSync } from "node:sqlite";

type Level = { readonly open: StatementSync; readonly release: StatementSync; readonly rollback: StatementSync };
export type Savepoint = { readonly keep: () => void; readonly undo: () => void };

export function openSavepoints(db: DatabaseSync): () => Savepoint {
  const levels: Level[] = [];
  let depth = 0;
  const close = (at: number): void => {
    depth = at;
  };
  return () => {
    // A transaction that SQLite undid by itself took its savepoints along.
    if (!db.isTransaction) depth = 0;
    const at = depth++;
    const level = (levels[at] ??= prepare(db, at));
    level.open.run();
    return {
      keep: () => {
        level.release.run();
        close(at);
      },
      undo: () => {
        close(at);
        if (!db.isTransaction) return;
        level.rollback.run();
        level.release.run();
      },
    };
  };
}

function prepare(db: DatabaseSync, depth: number): Level {
  const name = `nested${depth}`;
  return {
    open: db.prepare(`SAVEPOINT ${name}`),
    release: db.prepare(`RELEASE ${name}`),
    rollback: db.prepare(`ROLLBACK TO ${name}`),
  };
}
