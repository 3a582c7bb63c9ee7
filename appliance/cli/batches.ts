/** `nika batches`: what was handed in together, how far it is, what is in it, and your word on it. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { doneOf, paceOf, totalOf, type BatchView, type GroupView, type Only } from "../../convex/model/batch.ts";
import { problemMessages, type DocumentLabels, type Problem } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import type { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, sizeOf, spanOf, table } from "./text.ts";

type Summary = NonNullable<FunctionReturnType<typeof api.batches.summary>>;

const failuresMax = 20;
const valuesMax = 8;

export async function runBatches(
  terminal: Terminal,
  client: Client,
  { limit, json }: { limit: number; json: boolean },
): Promise<void> {
  const batches = await (await client.http()).query(api.batches.list, { limit });
  if (json) return terminal.json(batches);
  if (batches.length === 0) return terminal.line("Nothing was handed in yet; `nika ingest PATH...` does.");
  const rows = batches.map((batch) => [
    batch.id,
    stateOf(batch),
    sizeOf(batch.sums.sizeBytes),
    oneLine(batch.label),
    sumsOf(batch),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [4, 3], right: [2] })) terminal.line(line);
}

/** Files the documents of a batch, or of a group in it, under what the owner says. Nothing is read again. */
export async function runBatchEdit(
  terminal: Terminal,
  client: Client,
  options: { name: string | undefined; only?: string | undefined; labels: DocumentLabels; json: boolean },
): Promise<void> {
  const { name, only, labels, json } = options;
  const { id, label } = (await getSummary(client, await getId(client, name))).batch;
  await (await client.http()).mutation(api.batches.edit, { id, labels, ...(only !== undefined && { only: toOnly(only) }) });
  if (json) return terminal.json({ edited: { id, only, labels } });
  terminal.line(
    `${oneLine(label)}: ${only === undefined ? "all of it" : oneLine(only)} is being filed anew; nothing is read again.`,
  );
}

/** One batch, by its id or, without one, the latest. */
export async function runBatch(
  terminal: Terminal,
  client: Client,
  name: string | undefined,
  { json }: { json: boolean },
): Promise<void> {
  const summary = await getSummary(client, await getId(client, name));
  if (json) return terminal.json(summary);
  for (const line of summaryLines(summary)) terminal.line(line);
}

export type BatchVerb = "pause" | "resume" | "cancel" | "accept" | "reject";

const said: Record<BatchVerb, string> = {
  pause: "paused; what is being read is finished",
  resume: "goes on",
  cancel: "cancelled; what was read stays",
  accept: "accepted",
  reject: "rejected, and forgotten",
};

/** What the owner says of a batch. `only` as `type=invoice`. Waits until an accept or a reject was carried out. */
export async function runBatchVerb(
  terminal: Terminal,
  client: Client,
  verb: BatchVerb,
  options: { name: string | undefined; only?: string | undefined; json: boolean; signal: AbortSignal },
): Promise<void> {
  const { name, only, json, signal } = options;
  // Whether there is such a batch is worth a sentence of its own.
  const { id } = (await getSummary(client, await getId(client, name))).batch;
  const http = await client.http();
  if (verb === "accept" || verb === "reject") {
    const group = only === undefined ? {} : { only: toOnly(only) };
    await http.mutation(api.batches.decide, { id, isAccepted: verb === "accept", ...group });
    await withLive<void>(await client.live(), signal, (watch, done) => {
      watch(api.batches.summary, { id }, (now) => now?.batch.state !== "deciding" && done());
    });
  } else await http.mutation(api.batches[verb], { id });
  const summary = await getSummary(client, id);
  if (json) return terminal.json(summary.batch);
  terminal.line(`${oneLine(summary.batch.label)}: ${only === undefined ? "" : `${oneLine(only)} `}${said[verb]}.`);
  terminal.line(sumsOf(summary.batch));
}

/** Resolves when nothing of the batch waits or is being read. Fails with `conflict` when it is paused: that may take for ever. */
export async function awaitBatch(
  client: Client,
  id: Id<"batches">,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<void> {
  await withLive<void>(await client.live(), signal, (watch, done) => {
    watch(api.batches.summary, { id }, (summary) => {
      if (!summary) return done();
      const { batch } = summary;
      const total = totalOf(batch.sums) + batch.sums.known;
      progress.update(doneOf(batch.sums) + batch.sums.known, { total, note: paceText(batch) });
      if (batch.state === "paused") throw new NikaError("conflict", "It was paused; `nika batches resume` goes on.");
      if (batch.sums.waiting + batch.sums.reading === 0) done();
    });
  });
}

/** Documents of a batch that wait for the owner's word. */
export async function heldOf(client: Client, id: Id<"batches">): Promise<number> {
  return (await (await client.http()).query(api.batches.summary, { id }))?.batch.sums.staged ?? 0;
}

/** What there is to do after a batch was read. */
export async function nextStepsOf(client: Client, id: Id<"batches">): Promise<string[]> {
  const summary = await (await client.http()).query(api.batches.summary, { id });
  if (!summary || summary.batch.sums.staged === 0) return [];
  const waiting = countOf(summary.batch.sums.staged, "document waits", "documents wait");
  return [
    `${waiting} for your word before anything is found in them:`,
    ...groupLines(summary.groups).map((line) => `  ${line}`),
    `\`nika batches accept ${id}\` or \`nika batches reject ${id}\`, with --only type=invoice for a part of it.`,
  ];
}

/** The lines that tell a batch to a person. */
export function summaryLines({ batch, groups, failures }: Summary): string[] {
  const rest = batch.sums.unreadable - Math.min(failures.length, failuresMax);
  return [
    `${oneLine(batch.label)} (${batch.id})`,
    `  ${stateOf(batch)} · ${sumsOf(batch)}`,
    `  ${sizeOf(batch.sums.sizeBytes)}, ${countOf(batch.sums.passages, "passage")}`,
    ...groupLines(groups).map((line) => `  ${line}`),
    ...(failures.length > 0 ? ["  Could not be read:"] : []),
    ...failures.slice(0, failuresMax).map(({ name, message }) => `    ${oneLine(name)}: ${oneLine(message)}`),
    ...(rest > 0 ? [`    and ${rest.toLocaleString("en-US")} more`] : []),
  ];
}

const titles: Partial<Record<GroupView["by"], string>> = {
  type: "Types",
  language: "Languages",
  theme: "Themes",
  folder: "Folders",
  format: "Formats",
  problem: "Problems",
};

function groupLines(groups: readonly GroupView[]): string[] {
  return Object.entries(titles).flatMap(([by, title]) => {
    const some = groups.filter((group) => group.by === by);
    if (some.length === 0) return [];
    const values = some
      .slice(0, valuesMax)
      .map(({ value, documents }) => `${nameOf(by, value)} ${documents.toLocaleString("en-US")}`);
    const more = some.length > valuesMax ? `, and ${some.length - valuesMax} more` : "";
    return [`${title}: ${values.join(", ")}${more}`];
  });
}

function nameOf(by: string, value: string): string {
  if (by === "problem") return problemMessages[value as Problem]?.replace(/\.$/u, "") ?? value;
  return value === "" ? "(none)" : oneLine(value);
}

function stateOf(batch: BatchView): string {
  return batch.state === "review" ? "waits for you" : batch.state;
}

function sumsOf(batch: BatchView): string {
  const { sums } = batch;
  const parts: [number, string][] = [
    [sums.waiting, "waiting"],
    [sums.reading, "being read"],
    [sums.staged, "to be accepted"],
    [sums.ready, "ready"],
    [sums.unreadable, "unreadable"],
    [sums.replaced, "replaced"],
    [sums.known, "already known"],
  ];
  const counts = parts.filter(([count]) => count > 0).map(([count, word]) => `${count.toLocaleString("en-US")} ${word}`);
  const pace = paceText(batch);
  return [counts.join(", ") || "nothing in it", ...(pace ? [pace] : [])].join(" · ");
}

/** "34/s, 2 min left"; empty when nothing moves. */
function paceText({ samples, sums, state }: BatchView): string {
  const pace = state === "reading" ? paceOf(samples, sums) : undefined;
  if (!pace || pace.documentsPerSecond <= 0) return "";
  const rate = pace.documentsPerSecond;
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s${pace.leftMs === undefined ? "" : `, ${spanOf(pace.leftMs)} left`}`;
}

function toOnly(text: string): Only {
  const [, by, value] = /^(type|language|theme|folder)=(.*)$/su.exec(text) ?? [];
  if (by === undefined) throw new NikaError("invalid", "--only takes type=, language=, theme= or folder= and a value.");
  return { by, value: value ?? "" } as Only;
}

async function getId(client: Client, name: string | undefined): Promise<Id<"batches">> {
  const http = await client.http();
  if (name !== undefined) return name as Id<"batches">;
  const [latest] = await http.query(api.batches.list, { limit: 1 });
  if (!latest) throw new NikaError("missing", "Nothing was handed in yet; `nika ingest PATH...` does.");
  return latest.id;
}

async function getSummary(client: Client, id: Id<"batches">): Promise<Summary> {
  const http = await client.http();
  const summary = await http.query(api.batches.summary, { id }).catch((error: unknown) => {
    if (error instanceof Error && /ArgumentValidationError|ID|validator/u.test(error.message)) return null;
    throw error;
  });
  if (!summary) throw new NikaError("missing", "There is no such batch; `nika batches` lists them.");
  return summary;
}
