/**
 * The statistics as a live query, `_system/nika/functions:stats`, for admins and for whom the engine's owner names. It reads one
 * pseudo-index; that is touched at most once a second, and only when somebody looked since the last time.
 */
import type { Core } from "../core.ts";
import type { CallRequest, Identity } from "../model/call.ts";
import type { QueryRun } from "../model/run.ts";
import { clientMessage } from "../exec/driver.ts";
import { canonicalPath } from "../txn/functions.ts";
import type { RunLog } from "./runLog.ts";

export const statisticsPath = "_system/nika/functions:stats";

const index = "_functionStatistics";
const tickMs = 1000;
const reads = [{ index, lower: new Uint8Array(0), upper: Uint8Array.of(0) }];

type Options = {
  readonly core: Core;
  readonly runs: RunLog;
  /** Who may read them, besides admins. */
  readonly isOperator: (identity: Identity) => boolean;
  readonly nowMs: () => number;
};

/** The core with that query in it. */
export function withLiveStatistics({ core, runs, isOperator, nowMs }: Options): Core {
  let frozen: string | undefined;
  let isSeen = false;
  let timer: NodeJS.Timeout | undefined;
  let tickedAtMs = 0;

  const stop = runs.onAdd(() => {
    if (!isSeen || timer) return;
    timer = setTimeout(tick, Math.max(0, Math.min(tickMs, tickedAtMs + tickMs - nowMs()))).unref();
  });

  function tick(): void {
    timer = undefined;
    isSeen = false;
    frozen = undefined;
    tickedAtMs = nowMs();
    // What failed here is told where it matters: the next mutation fails too.
    core.touch(index).catch(() => undefined);
  }

  function read({ identity, requestId }: CallRequest, ts: bigint): QueryRun {
    const mayRead = identity.type === "admin" || isOperator(identity);
    const run = { ts, journal: null, logLines: [], reads, usedIdentity: true, usedTime: false };
    if (!mayRead) {
      const message = clientMessage(requestId, `Could not find public function for '${statisticsPath}'.`);
      return { ...run, result: { ok: false, message } };
    }
    isSeen = true;
    frozen ??= JSON.stringify(runs.statistics());
    return { ...run, result: { ok: true, value: frozen } };
  }

  const queries: Core["queries"] = async (requests) => {
    const isOurs = requests.map(({ path }) => path.startsWith("_system/nika/") && canonicalPath(path) === statisticsPath);
    if (!isOurs.includes(true)) return core.queries(requests);
    const others = requests.filter((_, at) => !isOurs[at]);
    const runsOfOthers = others.length > 0 ? await core.queries(others) : [];
    const ts = runsOfOthers.reduce((max, one) => (one.ts > max ? one.ts : max), 0n) || core.ts();
    const rest = runsOfOthers.values();
    return requests.map((request, at) => (isOurs[at] ? read(request, ts) : (rest.next().value as QueryRun)));
  };

  const close = async (): Promise<void> => {
    stop();
    clearTimeout(timer);
    await core.close();
  };
  // On top of the core rather than a copy of it, so that what it changes later is seen.
  return Object.assign(Object.create(core) as Core, { queries, close });
}
