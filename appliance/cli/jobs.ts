/** `nika jobs`: what Nika is doing, was doing, and gave up on. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { NikaError } from "../../convex/model/error.ts";
import { kinds, type JobKind } from "../../convex/model/kinds.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

type JobDetail = NonNullable<FunctionReturnType<typeof api.jobs.get>>;
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

/** Narrower, the id would push out what one looks for; `nika jobs dead` and `--json` have it always. */
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

/** `nika jobs show ID`. */
export async function showJob(terminal: Terminal, client: Client, id: string, json: boolean): Promise<void> {
  const job = await getJob(client, id);
  if (json) return terminal.json(job);
  for (const line of storyLines(job, Date.now())) terminal.line(line);
}

/** A job and its story, oldest first. */
export function storyLines(job: JobDetail, nowMs: number): string[] {
  const head = `${job.kind}  ${stateOf(job)}  ${whenOf(job, nowMs)}  ${oneLine(job.label)}`.trimEnd();
  const doors = job.gates.map(({ name, limit }) => `  at most ${limit} at a time: ${oneLine(name)}`);
  const story = job.history.map(({ at, what, attempt, code, message }) => {
    const why = message === undefined ? "" : `: ${code ?? "bug"}: ${oneLine(message)}`;
    return `  ${spanOf(nowMs - at)} ago  ${happened[what]} (try ${attempt})${why}`;
  });
  return [`${job.id}  lane ${job.lane}`, head, ...doors, ...(story.length === 0 ? ["  nothing went wrong"] : story)];
}

const happened = { failed: "failed", orphaned: "its worker died", cancelled: "cancelled", redriven: "tried anew" } as const;

/** `nika jobs dead`. */
export async function listDead(
  terminal: Terminal,
  client: Client,
  { kind, json }: { readonly kind: string | undefined; readonly json: boolean },
): Promise<void> {
  const asked = kind === undefined ? {} : { kind: toKind(kind) };
  const jobs = await (await client.http()).query(api.jobs.dead, asked);
  if (json) return terminal.json(jobs);
  if (jobs.length === 0) return terminal.line("Nothing failed for good.");
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    whenOf(job, Date.now()),
    oneLine(job.label),
    oneLine(job.error?.message ?? ""),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [4, 3] })) terminal.line(line);
}

/** `nika jobs redrive`. */
export async function redriveJobs(
  terminal: Terminal,
  client: Client,
  { id, kind, all }: { readonly id: string | undefined; readonly kind: string | undefined; readonly all: boolean },
): Promise<void> {
  if ([id !== undefined, kind !== undefined, all].filter(Boolean).length !== 1)
    throw new NikaError("invalid", "Say which: a job's id, --kind KIND, or --all.");
  const http = await client.http();
  if (id !== undefined) {
    const job = await getJob(client, id);
    await http.mutation(api.jobs.retry, { id: job.id });
    return terminal.line(`${oneLine(job.label) || job.kind} is tried again.`);
  }
  const count = await http.mutation(api.jobs.redriveAll, kind === undefined ? {} : { kind: toKind(kind) });
  if (count === 0) terminal.line("Nothing to try again.");
  else
    terminal.line(`${count} ${count === 1 ? "job is" : "jobs are"} tried again${count >= 100 ? ", and the others follow" : ""}.`);
}

/** `nika jobs cancel ID`. */
export async function cancelJob(terminal: Terminal, client: Client, id: string): Promise<void> {
  const job = await getJob(client, id);
  await (await client.http()).mutation(api.jobs.cancel, { id: job.id });
  terminal.line(job.state === "leased" ? "It was asked to stop." : "It will not begin.");
}

async function getJob(client: Client, id: string): Promise<JobDetail & { readonly id: Id<"jobs"> }> {
  const job = await (await client.http()).query(api.jobs.get, { id });
  if (!job) throw new NikaError("missing", `There is no job ${oneLine(id)}; see \`nika jobs\`.`);
  return job;
}

function toKind(text: string): JobKind {
  if (text in kinds) return text as JobKind;
  throw new NikaError("invalid", `There is no kind ${oneLine(text)}; they are ${Object.keys(kinds).join(", ")}.`);
}
