/** A run of a function that the owner wrote: begun, told about and ended. Runs inside the transaction that decided it. */
import type { Doc, Id } from "../_generated/dataModel.js";
import type { DatabaseReader } from "../_generated/server.js";
import { NikaError } from "../model/error.ts";
import type { JobStep, Outcome } from "../model/job.ts";
import { inlineCharsMax, invocationsKeptMax, recentMax, type RunFacts, type Trigger } from "../model/userFunction.ts";
import { enqueue } from "./enqueue.ts";
import { record } from "./event.ts";
import type { Turn } from "./guard.ts";
import { endOccurrence } from "./occurrence.ts";

type Row = Doc<"userFunctions">;
type Invocation = Doc<"invocations">;
/** JSON text, or the file that holds it. */
export type Input = { readonly input: string } | { readonly inputId: Id<"_storage"> };

export const findFunction = ({ db }: { readonly db: DatabaseReader }, name: string): Promise<Row | null> =>
  db
    .query("userFunctions")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

export type Wish = Input & { readonly name: string; readonly trigger: Trigger; readonly occurrenceId?: Id<"occurrences"> };

/** A run to come, with its job. Fails with `missing` when there is no such function. */
export async function beginInvocation(
  turn: Turn,
  { name, trigger, occurrenceId, ...given }: Wish,
): Promise<{ readonly invocationId: Id<"invocations">; readonly jobId: Id<"jobs"> }> {
  const f = await findFunction(turn, name);
  if (!f) throw new NikaError("missing", `There is no function called ${name}.`);
  const invocationId = await insertInvocation(turn, f, {
    name,
    trigger,
    state: "open",
    ...given,
    ...(occurrenceId && { occurrenceId }),
    attempt: 0,
    createdAt: turn.now,
  });
  const jobId = await enqueue(turn, {
    kind: "functions.invoke",
    args: { invocationId },
    label: name,
    // Somebody looks at the screen, or nobody does.
    ...(trigger === "owner" && { lane: "now" as const }),
    gates: [{ name: `function ${name}`, limit: f.manifest?.concurrency ?? 1 }],
  });
  await turn.db.patch(invocationId, { jobId });
  return { invocationId, jobId };
}

/** Notes a run; the oldest of the function goes when there are many. */
export async function insertInvocation(
  turn: Turn,
  f: Row,
  invocation: Omit<Invocation, "_id" | "_creationTime">,
): Promise<Id<"invocations">> {
  if ("input" in invocation && (invocation.input?.length ?? 0) > inlineCharsMax)
    throw new NikaError("invalid", `What is longer than ${inlineCharsMax} characters is handed over as a file.`);
  const id = await turn.db.insert("invocations", invocation);
  let { kept } = f;
  kept += 1;
  if (kept > invocationsKeptMax) {
    const oldest = await turn.db
      .query("invocations")
      .withIndex("by_name", (q) => q.eq("name", f.name))
      .take(2);
    for (const one of oldest)
      if (one.state !== "open" && kept > invocationsKeptMax) {
        await dropInvocation(turn, one);
        kept -= 1;
      }
  }
  await turn.db.patch(f._id, { kept });
  return id;
}

/** With its files and its log. */
export async function dropInvocation(turn: Turn, { _id, inputId, outputId }: Invocation): Promise<void> {
  for (const file of [inputId, outputId]) if (file) await turn.storage.delete(file);
  const log = await findLog(turn, _id);
  if (log) await turn.db.delete(log._id);
  await turn.db.delete(_id);
}

export const findLog = (
  { db }: { readonly db: DatabaseReader },
  invocationId: Id<"invocations">,
): Promise<Doc<"invocationLogs"> | null> =>
  db
    .query("invocationLogs")
    .withIndex("by_invocation", (q) => q.eq("invocationId", invocationId))
    .unique();

/** Its job is over. What came of it was handed in with the lease, so it is told once however often it ran. */
export async function invocationEnded(turn: Turn, job: Doc<"jobs">, step: JobStep, outcome?: Outcome): Promise<void> {
  const invocation = "invocationId" in job.args ? await turn.db.get(job.args.invocationId) : null;
  const invoked = outcome?.type === "done" && outcome.result?.type === "invoked" ? outcome.result : undefined;
  // One that failed may be tried once more by the owner; what is done stays as it is.
  if (!invocation || invocation.state === "done") {
    if (invoked?.outputId) await turn.storage.delete(invoked.outputId);
    return;
  }
  const state = step.state === "done" ? "done" : step.state === "cancelled" ? "cancelled" : "failed";
  await turn.db.patch(invocation._id, {
    state,
    endedAt: turn.now,
    attempt: Math.max(invocation.attempt, step.attempts),
    ...(invoked?.output !== undefined && { output: invoked.output }),
    ...(invoked?.outputId && { outputId: invoked.outputId }),
    ...(invoked && { facts: invoked.facts }),
    error: step.error,
  });
  const told = step.error?.message;
  await count(turn, invocation.name, { state, facts: invoked?.facts, error: told });
  if (state === "failed" && !invocation.occurrenceId)
    await record(turn, { type: "functionFailed", name: invocation.name, text: told ?? `${invocation.name} failed.` });
  if (!invocation.occurrenceId) return;
  const said = state === "failed" ? told : `${invocation.name}: ${invoked?.output ?? "its answer is kept with the run"}`;
  await endOccurrence(turn, invocation.occurrenceId, { state, name: job.label, said });
}

type Ended = { readonly state: Invocation["state"]; readonly facts: RunFacts | undefined; readonly error: string | undefined };

/** How its runs went, on the function's own row. */
export async function count(turn: Turn, name: string, { state, facts, error }: Ended): Promise<void> {
  const f = await findFunction(turn, name);
  if (!f || state === "cancelled") return;
  await turn.db.patch(f._id, {
    ...(state === "done" ? { done: f.done + 1 } : { failed: f.failed + 1 }),
    ...(state === "failed" && error !== undefined && { lastError: error }),
    ...(facts && { recentMs: [...f.recentMs, facts.tookMs].slice(-recentMax) }),
    lastAt: turn.now,
  });
}

/** Whether a stored file belongs to a run, as what it was given or what came of it. */
export async function isOfInvocation(turn: Turn, file: Id<"_storage">): Promise<boolean> {
  const given = turn.db.query("invocations").withIndex("by_inputId", (q) => q.eq("inputId", file));
  const came = turn.db.query("invocations").withIndex("by_outputId", (q) => q.eq("outputId", file));
  return (await given.first()) !== null || (await came.first()) !== null;
}
