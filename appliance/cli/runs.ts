/** `nika runs`: functions of many steps, as a person reads them. */
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { NikaError } from "../../convex/model/error.ts";
import type { RunDetail, RunView, StepView } from "../../convex/model/run.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

export type RunVerb = "cancel" | "resume" | "restart";

/** `nika runs list`. */
export async function listRuns(terminal: Terminal, client: Client, json: boolean): Promise<void> {
  const runs = await (await client.http()).query(api.runs.list, {});
  if (json) return terminal.json(runs);
  if (runs.length === 0) return terminal.line("Nothing of several steps was done lately.");
  const now = Date.now();
  const rows = runs.map((run) => [run.id, stateOf(run, now), whenOf(run, now), oneLine(run.label), oneLine(whyOf(run))]);
  for (const line of table(rows, { width: terminal.width, give: [4, 3] })) terminal.line(line);
}

/** `nika runs show ID`. */
export async function showRun(terminal: Terminal, client: Client, id: string, json: boolean): Promise<void> {
  const run = await getRun(client, id);
  if (json) return terminal.json(run);
  for (const line of runLines(run, Date.now())) terminal.line(line);
}

/** A run, what put it aside if anything did, and its steps in the order in which they began. */
export function runLines(run: RunDetail, now: number): string[] {
  const { id, name, life, problem, result, error, steps, unread } = run;
  return [
    `${id}  ${name}${life > 1 ? `, start ${life}` : ""}`,
    `${stateOf(run, now)}  ${whenOf(run, now)}  ${oneLine(run.label)}`.trimEnd(),
    ...(problem
      ? [`  ${oneLine(problem.message)}`, ...problem.diff.map((line) => `    ${line[0] ?? " "} ${oneLine(line.slice(1))}`)]
      : []),
    ...steps.map((step) => `  ${stepLine(step, now)}`),
    ...(unread > 0 ? [`  ${unread} ${unread === 1 ? "signal" : "signals"} it has not asked for`] : []),
    ...(error ? [`  ${error.code}: ${oneLine(error.message)}`] : []),
    ...(result === undefined ? [] : [`  came to ${oneLine(saidIn(result))}`]),
    ...(problem ? [`  nika runs resume ${id}   once its code is right again; restart or cancel it otherwise`] : []),
  ];
}

const signs: Record<StepView["state"], string> = {
  ready: "…",
  started: "▶",
  waiting: "…",
  done: "✓",
  failed: "✗",
  cancelled: "–",
};

function stepLine(step: StepView, now: number): string {
  const { path, label, state, attempts, error, result, effect, childId, startedAt, endedAt } = step;
  const facts = [
    label === undefined ? "" : oneLine(path),
    endedAt === undefined ? `for ${spanOf(now - startedAt)}` : `in ${spanOf(endedAt - startedAt)}`,
    attempts > 0 ? `${attempts} failed` : "",
    waitOf(step, now),
    effect ? `${effect.class}: ${effect.state}` : "",
    childId ? `run ${childId}` : "",
    error && state !== "done" ? `${error.code}: ${oneLine(error.message)}` : "",
    result === undefined ? "" : `→ ${oneLine(saidIn(result))}`,
  ];
  return `${signs[state]} ${oneLine(label ?? path)}  ${facts.filter((fact) => fact !== "").join(", ")}`;
}

function waitOf({ waitFor }: StepView, now: number): string {
  switch (waitFor?.type) {
    case undefined:
      return "";
    case "time":
    case "retry":
      return `${waitFor.type === "time" ? "until" : "again"} in ${spanOf(Math.max(0, waitFor.until - now))}`;
    case "signal":
      return `waits for the signal ${oneLine(waitFor.kind)}`;
    case "run":
      return "waits for what it began";
    case "decision":
      return "did it happen? say so with nika runs decide";
  }
}

function stateOf({ state, asks, wakeAt }: RunView, now: number): string {
  if (asks > 0 && state === "waiting") return "asks you";
  if (state === "waiting" && wakeAt !== undefined) return `waits ${spanOf(Math.max(0, wakeAt - now))}`;
  return state;
}

const whenOf = ({ createdAt, endedAt }: RunView, now: number): string =>
  endedAt === undefined ? `for ${spanOf(now - createdAt)}` : `${spanOf(now - endedAt)} ago`;

const whyOf = ({ error, problem, result }: RunView): string => error?.message ?? problem?.message ?? saidIn(result ?? "");

/** A text as it is, anything else as JSON. What is long is cut, and stays as it is. */
function saidIn(result: string): string {
  try {
    const value: unknown = JSON.parse(result);
    return typeof value === "string" ? value : result;
  } catch {
    return result;
  }
}

/** `nika runs cancel|resume|restart ID`. */
export async function actOnRun(terminal: Terminal, client: Client, verb: RunVerb, id: string): Promise<void> {
  const run = await getRun(client, id);
  await (await client.http()).mutation(api.runs[verb], { id: run.id });
  const became = { cancel: "is stopped, with everything it began", resume: "goes on", restart: "begins anew" }[verb];
  terminal.line(`${oneLine(run.label)} ${became}.`);
}

/** `nika runs signal ID KIND JSON`. */
export async function signalRun(
  terminal: Terminal,
  client: Client,
  { id, kind, body }: { readonly id: string; readonly kind: string; readonly body: string },
): Promise<void> {
  const run = await getRun(client, id);
  await (await client.http()).mutation(api.signals.send, { id: run.id, kind, body });
  terminal.line(`${oneLine(run.label)} was told ${oneLine(kind)}.`);
}

export type Decision = {
  readonly id: string;
  readonly step: string;
  readonly as: "sent" | "failed" | "again";
  readonly result: string | undefined;
};

/** `nika runs decide ID STEP`. */
export async function decideStep(terminal: Terminal, client: Client, { id, step, as, result }: Decision): Promise<void> {
  const run = await getRun(client, id);
  const found = run.steps.find((one) => one.path === step || one.id === step);
  if (!found) throw new NikaError("missing", `That run has no step ${oneLine(step)}; see \`nika runs show ${run.id}\`.`);
  const decision = { stepId: found.id, as, ...(result !== undefined && { result }) };
  await (await client.http()).mutation(api.effects.decide, decision);
  terminal.line(`${oneLine(run.label)} goes on.`);
}

/** `nika runs start NAME JSON`. */
export async function startRun(
  terminal: Terminal,
  client: Client,
  { name, args, json }: { readonly name: string; readonly args: string; readonly json: boolean },
): Promise<void> {
  const id = await (await client.http()).mutation(api.runs.start, { name, args });
  if (json) return terminal.json({ id });
  terminal.line(`It runs; \`nika runs show ${id}\` tells how far it is.`);
}

async function getRun(client: Client, id: string): Promise<RunDetail & { readonly id: Id<"runs"> }> {
  const run = await (await client.http()).query(api.runs.get, { id });
  if (!run) throw new NikaError("missing", `There is no run ${oneLine(id)}; see \`nika runs\`.`);
  return run;
}
