/**
 * Whether the new form of a server answers as the old one does: the latest calls that only read are made once more, of the new one, and of the old one
 * where the answer is another than it was. What varies by itself need only keep its shape.
 */
import type { Result } from "@modelcontextprotocol/server";
import { toNikaError } from "../../../convex/model/error.ts";
import { canonicalJson, diffOf } from "../../../convex/model/tool.ts";
import type { Connections } from "./connections.ts";
import { answerDigest, bare, type RecentCall } from "./recent.ts";
import type { Slot } from "./slot.ts";

/** `lines` say how answers differ; none when they do not. */
export type Comparison = { readonly calls: number; readonly lines: readonly string[] };
export type CompareOptions = {
  readonly connections: Pick<Connections, "useSlot">;
  readonly recent: (server: string) => readonly RecentCall[];
  readonly signal: AbortSignal;
};
/** Never fails: what cannot be called is a difference. */
export type Compare = (old: Slot, fresh: Slot, tools: ReadonlySet<string>) => Promise<Comparison>;

const callMs = 10_000;
const linesMax = 20;
const linesPerCall = 6;

export const toCompare =
  ({ connections, recent, signal }: CompareOptions): Compare =>
  async (old, fresh, tools) => {
    const ask = async (slot: Slot, { tool, args }: RecentCall): Promise<Result | string> => {
      try {
        const wish = { timeoutMs: callMs, timeoutMsMax: callMs, signal };
        const params = { name: tool, arguments: { ...args } };
        return await connections.useSlot(slot, undefined, signal, (peer) => peer.request("tools/call", params, wish));
      } catch (error) {
        return toNikaError(error).code === "bug" && error instanceof Error ? error.message : toNikaError(error).message;
      }
    };
    const lines: string[] = [];
    const calls = recent(fresh.config.name);
    for (const call of calls) {
      const name = `${call.tool}(${JSON.stringify(call.args).slice(0, 80)})`;
      if (!tools.has(call.tool)) {
        lines.push(`${name}: is not offered any more`);
        continue;
      }
      const now = await ask(fresh, call);
      if (answerDigest(now) === call.sha256) continue;
      const before = await ask(old, call);
      const isSteady = answerDigest(before) === call.sha256;
      if (same(now, before) || (!isSteady && same(shapeOf(now), shapeOf(before)))) continue;
      const found = isSteady ? diffOf(bare(before), bare(now)) : diffOf(shapeOf(before), shapeOf(now));
      lines.push(...found.slice(0, linesPerCall).map((line) => `${name}: ${line}`));
    }
    return { calls: calls.length, lines: lines.slice(0, linesMax) };
  };

const same = (left: unknown, right: unknown): boolean => canonicalJson(bare(left)) === canonicalJson(bare(right));

/** Which keys with which kinds of values; of a list, that of its first. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "_meta")
      .map(([key, one]) => [key, key === "isError" || key === "type" ? one : shapeOf(one)]),
  );
}
