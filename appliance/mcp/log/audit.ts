/** The owner's log has every call, whatever became of it: who, what, how long, and what it weighed, with secrets left out. */
import type { Result } from "@modelcontextprotocol/server";
import { toNikaError } from "../../../convex/model/error.ts";
import { withoutSecrets } from "../../../convex/model/scan.ts";
import { refused, toTold } from "../answer.ts";
import { canonicalJson, type ToolDefinition } from "../../../convex/model/tool.ts";
import type { Call } from "../call.ts";
import { sha256 } from "../pool/kept.ts";
import type { Ledger } from "./ledger.ts";
import { labelsKey, warningsKey } from "../guard/guard.ts";
import { isRecord } from "../meta.ts";

/** Runs `work` and writes down what became of it; errors that are not the protocol's become refusals. */
export type Target = { readonly server: string; readonly tool: string; readonly definition?: ToolDefinition };
export type Audit = (call: Call, target: Target, work: () => Promise<Result>) => Promise<Result>;

export type AuditOptions = {
  readonly ledger: Ledger;
  readonly log: (line: string) => void;
  /** Takes what a server must not have shown out of a text. */
  readonly redact: (server: string, text: string) => string;
  /** What a call costs; undefined where nobody said. */
  readonly priceOf: (server: string, tool: string) => number | undefined;
  /** Keeps what was answered, where it is to be kept; under which name. */
  readonly keep?: (call: Call, target: Target, result: Result) => string | undefined;
};

/** Nothing is held here: a line is in the ledger before its call is answered. */
export function openAudit({ ledger, log, redact, priceOf, keep }: AuditOptions): Audit {
  return async (call, target, work) => {
    const { server, tool } = target;
    const startedAt = performance.now();
    let asked: Record<string, unknown> = {};
    const write = (result: Result | undefined, problem: string | undefined): void => {
      const isOver = result?.["resultType"] !== "input_required";
      // What was only asked about went to no server.
      const price = result && isOver ? priceOf(server, tool) : undefined;
      const kept = result && isOver ? keep?.(call, target, result) : undefined;
      ledger.append({
        type: "call",
        server,
        tool,
        by: call.principal,
        session: call.session,
        ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
        isError: problem !== undefined || result?.["isError"] === true,
        ...(result?.["resultType"] === "input_required" && { asks: true }),
        ...(problem !== undefined && { problem: redact(server, withoutSecrets(problem)) }),
        ...saidOf(result),
        ...(price !== undefined && { cost: price }),
        ...(kept !== undefined && { kept }),
        ...asked,
        ...(result && weigh("result", JSON.stringify(result))),
      });
    };
    try {
      const working = work();
      // Weighed while the server is at it, so that nobody waits for that.
      asked = { ...weigh("args", canonicalJson(call.args)), shown: redacted(call.args) };
      const result = await working;
      write(result, undefined);
      return result;
    } catch (error) {
      const told = toTold(error, server, tool);
      write(undefined, told.message);
      if (told.isProtocol) throw error;
      const known = toNikaError(error);
      if (known.code === "bug")
        log(`mcp ${server}.${tool}: ${known.cause instanceof Error ? known.cause.stack : String(known.cause)}`);
      return refused(told.message);
    }
  };
}

/** What the guard said of a result. */
function saidOf(result: Result | undefined): Record<string, unknown> {
  const meta = isRecord(result?.["_meta"]) ? result["_meta"] : {};
  return {
    ...(Array.isArray(meta[labelsKey]) && { labels: meta[labelsKey] as unknown[] }),
    ...(Array.isArray(meta[warningsKey]) && { warnings: meta[warningsKey] as unknown[] }),
  };
}

function weigh(name: "args" | "result", text: string): Record<string, unknown> {
  return { [`${name}Sha256`]: sha256(text), [`${name}Bytes`]: Buffer.byteLength(text) };
}

const shownCharsMax = 200;
const secretKey = /key|token|secret|password|authorization|cookie|credential/i;

/** Arguments as the owner may see them in the log: long texts cut, what is named like a secret not shown. */
function redacted(value: unknown, depth = 0): unknown {
  if (typeof value === "string") {
    const shown = withoutSecrets(value.slice(0, 4 * shownCharsMax));
    return shown.length > shownCharsMax ? `${shown.slice(0, shownCharsMax)}…` : shown;
  }
  if (Array.isArray(value)) return depth > 3 ? "…" : value.slice(0, 10).map((one) => redacted(one, depth + 1));
  if (!isRecord(value)) return value;
  if (depth > 3) return "…";
  const entries = Object.entries(value).slice(0, 20);
  return Object.fromEntries(
    entries.map(([key, one]) => [key, secretKey.test(key) && typeof one === "string" ? "•••" : redacted(one, depth + 1)]),
  );
}
