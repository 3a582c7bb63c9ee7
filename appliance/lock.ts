/**
 * One appliance per data directory. The lock is SQLite's own file lock, which the kernel drops when the process dies however it dies:
 * no stale pid files to argue about.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NikaError } from "../convex/model/error.ts";

/** Fails with `conflict` while another appliance holds `dataDir`, `denied` or `full` when the directory cannot be used. */
export function lockData(dataDir: string): Disposable {
  let database: DatabaseSync;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(join(dataDir, "lock"));
  } catch (error) {
    throw unusable(dataDir, error as NodeJS.ErrnoException);
  }
  try {
    database.exec("pragma locking_mode = exclusive; begin exclusive");
  } catch (error) {
    database.close();
    if (/locked|busy/i.test(String(error)))
      throw new NikaError("conflict", `Another Nika is running on ${dataDir}; stop it first with \`nika stop\`.`);
    throw unusable(dataDir, error as NodeJS.ErrnoException);
  }
  return { [Symbol.dispose]: () => database.close() };
}

function unusable(dataDir: string, error: NodeJS.ErrnoException): NikaError {
  if (error.code === "ENOSPC" || /disk is full/i.test(error.message))
    return new NikaError("full", `There is no room left on the disk of ${dataDir}.`, { cause: error });
  return new NikaError("denied", `Nika cannot write to ${dataDir}; choose another place with --data or mend its permissions.`, {
    cause: error,
  });
}
