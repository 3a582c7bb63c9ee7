/** The latest calls that only read, of each server: what a new form of it is tried with. In memory, few, and small. */
import type { Result } from "@modelcontextprotocol/server";
import { canonicalJson } from "../../../convex/model/tool.ts";

export type RecentCall = {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly result: Result;
};
export type Recent = {
  /** Later ones with the same arguments take the place of earlier ones. */
  note(server: string, call: RecentCall): void;
  /** The latest first. */
  of(server: string): readonly RecentCall[];
  forget(server: string): void;
};

const callsMax = 8;
const charsMax = 16_000;

export function openRecent(): Recent {
  const calls = new Map<string, Map<string, RecentCall>>();
  return {
    note(server, call) {
      const key = `${call.tool} ${canonicalJson(call.args)}`;
      if (key.length > charsMax || JSON.stringify(call.result).length > charsMax) return;
      const mine = calls.get(server) ?? new Map<string, RecentCall>();
      mine.delete(key);
      mine.set(key, call);
      const [oldest] = mine.keys();
      if (mine.size > callsMax && oldest !== undefined) mine.delete(oldest);
      calls.set(server, mine);
    },
    of: (server) => [...(calls.get(server)?.values() ?? [])].toReversed(),
    forget: (server) => void calls.delete(server),
  };
}
