/**
 * What mutations of sessions were answered, so that a client that asks again is told the same instead of having it done twice. Written in
 * the mutation's own transaction.
 *
 * The newest lie in the order in which they came, where adding one costs next to nothing; from time to time all of them move to where
 * they are kept by session. Kept by session from the start, each would change a page of its own.
 */
import type { DatabaseSync } from "node:sqlite";

export type Answer = { readonly ts: bigint; readonly value: string; readonly logLines: string };
/** A session's requests are done in order, and their numbers only grow. */
export type SessionRequest = { readonly id: string; readonly requestId: number };

/**
 * Answers kept of one session, at most about. A socket takes no more than 1,000 requests at a time, so what lies this far back was seen by
 * its client.
 */
const keptPerSession = 4096;
const newestMax = 1024;
const newestCharsMax = 1024 * 1024;
/** Sessions whose last request is known without looking. */
const sessionsMax = 10_000;

export function openAnswers(db: DatabaseSync) {
  const columns = "session, request, ts, value, logLines, atMs";
  const find = db.prepare("SELECT ts, value, logLines FROM sessionRequests WHERE session = ? AND request = ?");
  const findNewest = db.prepare("SELECT ts, value, logLines FROM newestRequests WHERE session = ? AND request = ?");
  for (const one of [find, findNewest]) one.setReadBigInts(true);
  const last = db.prepare(
    `SELECT max(request) AS last FROM (SELECT max(request) AS request FROM sessionRequests WHERE session = ?
     UNION ALL SELECT max(request) FROM newestRequests WHERE session = ?)`,
  );
  const add = db.prepare(`INSERT INTO newestRequests (${columns}) VALUES (?, ?, ?, ?, ?, ?)`);
  const count = db.prepare("SELECT count(*) AS count FROM newestRequests");
  const lasts = db.prepare("SELECT session, max(request) AS last FROM newestRequests GROUP BY session");
  const move = db.prepare(
    `INSERT OR REPLACE INTO sessionRequests (${columns}) SELECT ${columns} FROM newestRequests ORDER BY session, request`,
  );
  const empty = db.prepare("DELETE FROM newestRequests");
  const dropEarlier = db.prepare("DELETE FROM sessionRequests WHERE session = ? AND request < ?");
  const dropOld = db.prepare("DELETE FROM sessionRequests WHERE atMs < ?");
  const dropOldNewest = db.prepare("DELETE FROM newestRequests WHERE atMs < ?");

  /** At least what was answered last; more when a transaction was undone. */
  const answered = new Map<string, number>();
  let newestCount = (count.get() as { count: number }).count;
  let newestChars = 0;

  const note = (session: string, request: number): void => {
    if (answered.size >= sessionsMax && !answered.has(session)) answered.clear();
    answered.set(session, request);
  };

  const lastOf = (session: string): number => {
    const known = answered.get(session);
    if (known !== undefined) return known;
    const found = (last.get(session, session) as { last: number | null }).last ?? -1;
    note(session, found);
    return found;
  };

  const settleDown = (): void => {
    move.run();
    for (const one of lasts.all() as { session: string; last: number }[]) dropEarlier.run(one.session, one.last - keptPerSession);
    empty.run();
    newestCount = 0;
    newestChars = 0;
  };

  return {
    find: ({ id, requestId }: SessionRequest): Answer | undefined => {
      if (requestId > lastOf(id)) return undefined;
      return (findNewest.get(id, requestId) ?? find.get(id, requestId)) as Answer | undefined;
    },
    add: ({ id, requestId }: SessionRequest, { ts, value, logLines }: Answer, nowMs: number): void => {
      if (newestCount >= newestMax || newestChars >= newestCharsMax) settleDown();
      add.run(id, requestId, ts, value, logLines, nowMs);
      note(id, Math.max(requestId, lastOf(id)));
      newestCount++;
      newestChars += value.length + logLines.length;
    },
    sweep: (beforeMs: number): void => {
      dropOld.run(beforeMs);
      dropOldNewest.run(beforeMs);
    },
  };
}
