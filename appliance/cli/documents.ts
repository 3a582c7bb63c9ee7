/** `nika documents` and `nika forget`: what Nika holds, and letting go of it. */
import { createInterface } from "node:readline/promises";
import type { ConvexHttpClient } from "convex/browser";
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import type { DocumentState } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { interrupted, withLive } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, sizeOf, table } from "./text.ts";

type DocumentView = FunctionReturnType<typeof api.documents.list>[number];

export type DocumentsOptions = { readonly limit: number; readonly state?: DocumentState | undefined; readonly json: boolean };

/** What the control plane gives in one query; longer lists are fetched page by page. */
const listMax = 200;

export async function runDocuments(terminal: Terminal, client: Client, { limit, state, json }: DocumentsOptions): Promise<void> {
  const http = await client.http();
  const [documents, counts] = await Promise.all([
    limit <= listMax ? http.query(api.documents.list, { limit, ...(state && { state }) }) : listAll(http, limit, state),
    http.query(api.documents.counts, {}),
  ]);
  if (json) return terminal.json(documents);
  if (documents.length === 0)
    return terminal.line(
      state ? `No document is ${state}.` : "Nika holds no documents yet; add some with `nika ingest PATH...`.",
    );
  for (const line of documentLines(documents, terminal.width)) terminal.line(line);
  const total = state
    ? counts[state]
    : counts.waiting + counts.reading + counts.staged + counts.ready + counts.unreadable + counts.forgetting;
  if (total > documents.length)
    terminal.line(terminal.style("dim", `The newest ${documents.length} of ${countOf(total, "document")}; --limit shows more.`));
}

async function listAll(http: ConvexHttpClient, limit: number, state: DocumentState | undefined): Promise<DocumentView[]> {
  const documents: DocumentView[] = [];
  let cursor: string | null = null;
  for (let isDone = false; !isDone && documents.length < limit;) {
    const found: FunctionReturnType<typeof api.documents.page> = await http.query(api.documents.page, {
      paginationOpts: { numItems: listMax, cursor },
    });
    documents.push(...found.page.filter((document) => state === undefined || document.state === state));
    cursor = found.continueCursor;
    isDone = found.isDone;
  }
  return documents.slice(0, limit);
}

/** Where there is no room for ids, names do as well. */
const idWidthMin = 120;

/** One line each: its state, size and name, and what there is to say about it; the id too where there is room. */
export function documentLines(documents: readonly DocumentView[], width: number): string[] {
  const rows = documents.map((document) => [
    ...(width >= idWidthMin ? [document.id] : []),
    document.state,
    sizeOf(document.sizeBytes),
    oneLine(document.name),
    remarkOf(document),
  ]);
  const first = width >= idWidthMin ? 1 : 0;
  return table(rows, { width, give: [first + 3, first + 2], right: [first + 1] });
}

function remarkOf({ state, problem, reading, progress }: DocumentView): string {
  if (problem) return oneLine(problem.message);
  if ((state === "ready" || state === "staged") && reading)
    return reading.entries === undefined ? countOf(reading.passages, "passage") : countOf(reading.entries, "file");
  return progress ? `${Math.floor((100 * progress.done) / Math.max(1, progress.total))} %` : "";
}

export type ForgetOptions = { readonly yes: boolean; readonly json: boolean; readonly signal: AbortSignal };

/** Forgets one document by id or name, and waits until nothing of it is left. */
export async function runForget(
  terminal: Terminal,
  client: Client,
  name: string,
  { yes, json, signal }: ForgetOptions,
): Promise<void> {
  const http = await client.http();
  const found = await http.query(api.documents.find, { name });
  const document = onlyOne(found, name);
  if (!yes) await confirm(terminal, document, signal);
  await http.mutation(api.documents.forget, { id: document.id });
  await withLive<void>(await client.live(), signal, (watch, done) => {
    watch(api.documents.get, { id: document.id }, (left) => left === null && done());
  });
  if (json) terminal.json({ forgotten: { id: document.id, name: document.name } });
  else terminal.line(`Forgot ${oneLine(document.name)}.`);
}

/** The one document a name stands for. Fails with `missing` or `conflict`. */
export function onlyOne(found: readonly DocumentView[], name: string): DocumentView {
  const [first, ...others] = found;
  if (first === undefined)
    throw new NikaError("missing", `Nika holds no document called "${oneLine(name)}"; \`nika documents\` lists them.`);
  if (others.length === 0) return first;
  const candidates = found.map((document) => `${document.id} (${oneLine(document.name)})`).join(", ");
  throw new NikaError("conflict", `"${oneLine(name)}" could be several documents; name one by its id: ${candidates}.`);
}

/** Looked through for a part of a name; the newest first. */
const lookedThroughMax = 20_000;
const candidatesShown = 10;

/**
 * The one document that is meant, to be shown or labelled: by its id, its name or the end of it, its name without extension, or a part of it.
 * Not for what cannot be taken back. Fails with `missing`, or with `conflict` and the candidates.
 */
export async function meant(http: ConvexHttpClient, name: string): Promise<DocumentView> {
  const exact = await http.query(api.documents.find, { name });
  if (exact.length > 0) return onlyOne(exact, name);
  const wanted = folded(name);
  if (wanted === "") return onlyOne([], name);
  const held = (await listAll(http, lookedThroughMax, undefined)).filter(
    ({ state }) => state !== "forgetting" && state !== "replaced",
  );
  const parts = held.filter((document) => namesOf(document).some((one) => one.includes(wanted)));
  const whole = parts.filter((document) => namesOf(document).some((one) => bare(one) === wanted || one === wanted));
  const found = whole.length > 0 ? whole : parts;
  if (found.length <= candidatesShown) return onlyOne(found, name);
  const some = found.slice(0, candidatesShown).map((document) => oneLine(document.name));
  throw new NikaError(
    "conflict",
    `"${oneLine(name)}" is in the names of ${found.length} documents; say more of it. The newest are: ${some.join(", ")}.`,
  );
}

const namesOf = ({ name, labels, reading }: DocumentView): string[] =>
  [name, labels?.title, reading?.title].flatMap((one) => (one === undefined ? [] : [folded(one)]));
/** Case and accents are forgotten more easily than letters. */
const folded = (text: string): string => text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase().trim();
/** The last part of a name, without its extension. */
const bare = (name: string): string => (name.split("/").at(-1) ?? name).replace(/\.[a-z0-9]{1,8}$/u, "");

async function confirm(terminal: Terminal, document: DocumentView, signal: AbortSignal): Promise<void> {
  if (!terminal.isInteractive || !process.stdin.isTTY)
    throw new NikaError("invalid", `Nobody is here to confirm; add --yes to forget ${oneLine(document.name)}.`);
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const reply = await prompt.question(`Forget ${oneLine(document.name)} and everything read from it? [y/N] `, { signal });
    if (!/^y(es)?$/i.test(reply.trim())) throw new NikaError("cancelled", "Nothing was forgotten.");
  } catch (error) {
    throw error instanceof Error && error.name === "AbortError" ? interrupted() : error;
  } finally {
    prompt.close();
  }
}
