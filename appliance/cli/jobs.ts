/** `nika jobs`: what Nika is doing, was doing, and gave up on. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

type JobView = FunctionReturnType<typeof api.jobs.list>[number];

export type JobsOptions = {
  readonly limit: number;
  readonly json: boolean;
  readonly watch: boolean;
  readonly signal: AbortSignal;
};

export async function runJobs(terminal: Terminal, client: Client, { limit, json, watch, signal }: JobsOptions): Promise<void> {
  if (watch) return watchJobs(terminal, client, limit, signal);
  const jobs = await (await client.http()).query(api.jobs.list, { limit });
  if (json) return terminal.json(jobs);
  if (jobs.length === 0) return terminal.line("Nothing to do and nothing done lately.");
  for (const line of jobLines(jobs, Date.now(), terminal.width)) terminal.line(line);
}

/** Nothing on the command line takes a job's id, so it is shown where it costs nothing. */
const idWidthMin = 140;

/** Open ones first, as the control plane orders them. */
export function jobLines(jobs: readonly JobView[], nowMs: number, width: number): string[] {
  const rows = jobs.map((job) => [
    ...(width >= idWidthMin ? [job.id] : []),
    job.kind,
    stateOf(job),
    whenOf(job, nowMs),
    oneLine(job.label),
    oneLine(job.error?.message ?? ""),
  ]);
  const first = width >= idWidthMin ? 1 : 0;
  return table(rows, { width, give: [first + 4, first + 3] });
}

function stateOf({ state, progress, attempts }: JobView): string {
  if (state === "leased" && progress) return `running ${Math.floor((100 * progress.done) / Math.max(1, progress.total))} %`;
  if (state === "leased") return "running";
  return state === "ready" && attempts > 0 ? `again (${attempts} tried)` : state;
}

function whenOf({ state, createdAt, startedAt, endedAt, readyAt }: JobView, nowMs: number): string {
  if (endedAt !== undefined) return `${spanOf(nowMs - endedAt)} ago`;
  if (state === "leased") return `for ${spanOf(nowMs - (startedAt ?? createdAt))}`;
  return readyAt > nowMs ? `in ${spanOf(readyAt - nowMs)}` : `waits ${spanOf(nowMs - createdAt)}`;
}

/** Live until Ctrl-C, which is how one leaves and therefore no failure. Piped, each change of a job is a line. */
async function watchJobs(terminal: Terminal, client: Client, limit: number, signal: AbortSignal): Promise<void> {
  const show = terminal.isInteractive ? redraw(terminal) : printChanges(terminal);
  const live = withLive<void>(await client.live(), signal, (watch) => void watch(api.jobs.list, { limit }, show));
  await live.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

function redraw(terminal: Terminal): (jobs: readonly JobView[]) => void {
  return (jobs) => {
    const room = Math.max(1, (process.stdout.rows || 24) - 3);
    const lines =
      jobs.length === 0 ? ["Nothing to do and nothing done lately."] : jobLines(jobs.slice(0, room), Date.now(), terminal.width);
    // Home, then clear to the end of the screen: no flicker of an empty one.
    terminal.line(`\u001B[H\u001B[J${lines.join("\n")}\n\n${terminal.style("dim", "Ctrl-C to leave")}`);
  };
}

function printChanges(terminal: Terminal): (jobs: readonly JobView[]) => void {
  const shown = new Map<string, string>();
  return (jobs) => {
    for (const job of [...jobs].reverse()) {
      const line = [job.id, job.kind, stateOf(job), oneLine(job.label), oneLine(job.error?.message ?? "")].join("  ").trimEnd();
      if (shown.get(job.id) !== line) terminal.line(line);
      shown.set(job.id, line);
    }
  };
}
