/** `nika logs`: what the control plane's functions did, one line for each run, with what they logged and why they failed. */
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { placeIn, sentenceIn } from "./functionError.ts";
import type { Terminal } from "./terminal.ts";
import { printable } from "./text.ts";

/** What Convex's log stream tells of one run; lines are text, or on newer backends structured. */
export type LogEntry = {
  readonly kind: string;
  readonly identifier: string;
  readonly udfType: string;
  readonly timestamp: number;
  readonly executionTime?: number;
  readonly logLines: readonly (string | { readonly level: string; readonly messages: readonly string[] })[];
  readonly error?: string | null;
  readonly cachedResult?: boolean;
};
type Page = { readonly entries: readonly LogEntry[]; readonly newCursor: number };

export type LogsOptions = {
  readonly limit: number;
  readonly json: boolean;
  readonly follow: boolean;
  readonly signal: AbortSignal | undefined;
};

/** The server answers within a minute, with nothing when nothing happened. */
const replyMs = 90_000;

export async function runLogs(terminal: Terminal, client: Client, { limit, json, follow, signal }: LogsOptions): Promise<void> {
  const read = (cursor: number): Promise<Page> =>
    client.admin("GET", `/api/stream_function_logs?cursor=${cursor}`, {
      timeoutMs: replyMs,
      ...(signal ? { signal } : {}),
    });
  const show = (entries: readonly LogEntry[]): void => {
    for (const entry of entries) {
      if (json) terminal.line(JSON.stringify(entry));
      else for (const line of entryLines(entry, terminal)) terminal.line(line);
    }
  };
  try {
    const first = await read(0);
    const newest = first.entries.slice(-limit);
    if (json && !follow) return terminal.json(newest);
    if (newest.length === 0 && !json) terminal.note("No function has run since Nika started.");
    show(newest);
    if (!follow) return;
    for (let cursor = first.newCursor; ;) {
      if (signal?.aborted) return;
      const page = await read(cursor);
      show(page.entries);
      cursor = page.newCursor;
    }
  } catch (error) {
    // Ctrl-C is how one leaves, and therefore no failure.
    if (signal?.aborted) return;
    throw error instanceof NikaError && error.code === "missing"
      ? new NikaError("missing", "This control plane keeps no log.", { cause: error })
      : error;
  }
}

export function entryLines(entry: LogEntry, terminal: Pick<Terminal, "style">): string[] {
  const { error } = entry;
  const took = entry.cachedResult ? "cached" : entry.executionTime === undefined ? "" : tookOf(entry.executionTime * 1000);
  const kind = entry.udfType.toLowerCase().replace("httpaction", "http");
  const head = `${timeOf(entry.timestamp * 1000)}  ${kind.padEnd(8)}  ${took.padStart(8)}  ${printable(entry.identifier)}`;
  return [
    error ? terminal.style("red", `${head}  failed`) : head,
    ...entry.logLines.map((line) => terminal.style("dim", `          ${printable(textOf(line))}`)),
    ...(error ? [terminal.style("red", `          ${[placeIn(error), sentenceIn(error)].filter(Boolean).join(": ")}`)] : []),
  ];
}

function textOf(line: LogEntry["logLines"][number]): string {
  return typeof line === "string" ? line : `[${line.level}] ${line.messages.join(" ")}`;
}

function tookOf(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

/** Local time, as on the clock on the wall. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
