/** SQLITE_FULL: the low byte of an extended code says what kind of failure it is. */
const sqliteFull = 13;

/** What whoever fails for want of room is told. */
export const fullDiskMessage = "The disk is full: nothing was changed. Free some space and try again.";

/** Whether something failed because there was no room on the disk, by SQLite's word or the system's. */
export function isDiskFull(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  return (typeof errcode === "number" && (errcode & 0xff) === sqliteFull) || code === "ENOSPC" || code === "EDQUOT";
}
