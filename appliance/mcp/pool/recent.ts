/**
 * The latest calls that only read, of each server: what a new form of it is tried with. Few and small. Arguments and the digest of each answer lie on
 * disk, so that a restart in the middle of an upgrade loses no comparison; answers do not.
 */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withoutSecrets, withTexts } from "../../../convex/model/scan.ts";
import { canonicalJson } from "../../../convex/model/tool.ts";
import { replaceFile, sha256 } from "./kept.ts";

export type RecentCall = {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Of what it was answered, as `answerDigest` has it. */
  readonly sha256: string;
};
export type Recent = {
  /** Later ones with the same arguments take the place of earlier ones. Looked at a moment later: nobody waits for it. */
  note(server: string, call: Pick<RecentCall, "tool" | "args"> & { readonly result: object }): void;
  /** The latest first. */
  of(server: string): readonly RecentCall[];
  forget(server: string): void;
  /** Writes what was not written yet. */
  close(): void;
};

const callsMax = 8;
const charsMax = 16_000;
/** Written so long after the first change, once for many. A kill loses no more than this. */
const writeMs = 1_000;

/** Of an answer without what travels beside it. */
export const answerDigest = (answer: unknown): string => sha256(canonicalJson(bare(answer)));
export const bare = (answer: unknown): unknown =>
  typeof answer === "object" && answer !== null ? { ...answer, _meta: undefined } : { failed: answer };

export function openRecent(dir: string, log: (line: string) => void): Recent {
  const calls = new Map<string, Map<string, RecentCall>>();
  const unwritten = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const keyOf = ({ tool, args }: Pick<RecentCall, "tool" | "args">): string => `${tool} ${canonicalJson(args)}`;
  for (const [server, known] of load(dir)) calls.set(server, new Map(known.map((call) => [keyOf(call), call])));

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const server of unwritten)
      try {
        replaceFile(join(dir, `${server}.json`), JSON.stringify([...(calls.get(server)?.values() ?? [])]), { isSynced: false });
      } catch (error) {
        log(`mcp ${server}: its latest calls could not be kept (${error instanceof Error ? error.message : String(error)})`);
      }
    unwritten.clear();
  }
  function take(server: string, { tool, args, result }: Parameters<Recent["note"]>[1]): void {
    const key = keyOf({ tool, args });
    if (key.length > charsMax || JSON.stringify(result).length > charsMax) return;
    // What holds a secret is not written down, and without it the call would be another one.
    if (canonicalJson(withTexts(args, withoutSecrets)) !== canonicalJson(args)) return;
    const mine = calls.get(server) ?? new Map<string, RecentCall>();
    mine.delete(key);
    mine.set(key, { tool, args, sha256: answerDigest(result) });
    const [oldest] = mine.keys();
    if (mine.size > callsMax && oldest !== undefined) mine.delete(oldest);
    calls.set(server, mine);
    unwritten.add(server);
    timer ??= setTimeout(write, writeMs).unref();
  }
  return {
    note: (server, call) => void setImmediate(() => take(server, call)),
    of: (server) => [...(calls.get(server)?.values() ?? [])].toReversed(),
    forget(server) {
      calls.delete(server);
      unwritten.delete(server);
      rmSync(join(dir, `${server}.json`), { force: true });
    },
    close: write,
  };
}

/** What cannot be read is as if it had not been: there is less to compare with. */
function load(dir: string): [string, RecentCall[]][] {
  const read = (file: string): [string, RecentCall[]][] => {
    try {
      const found = JSON.parse(readFileSync(join(dir, file), "utf8")) as unknown;
      return Array.isArray(found) ? [[file.slice(0, -".json".length), (found as RecentCall[]).slice(-callsMax)]] : [];
    } catch {
      return [];
    }
  };
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith(".json"))
      .flatMap(read);
  } catch {
    return [];
  }
}
