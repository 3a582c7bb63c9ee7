/** `nika functions`: what the owner wrote, made, handed over, called and looked at. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { api } from "../../convex/_generated/api.js";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import {
  toFunctionName,
  type FunctionView,
  type InvocationDetail,
  type InvocationView,
} from "../../convex/model/userFunction.ts";
import type { FunctionAnswer } from "../../functions/functions/call.ts";
import { readSource } from "../owned/source.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import { templates } from "./userFunctionTemplates.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, printable, spanOf, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
/** A call may take as long as it takes the appliance to give up on it. */
const callMs = 6 * 60_000;
/** An edit is noticed at once; a first sandbox may need its image made. */
const servedMs = 120_000;

export type NewOptions = JsonOption & { readonly name: string; readonly isPython: boolean; readonly dir: string };

/** A folder to begin with. Never writes over what is there. */
export async function runNew(terminal: Terminal, { name, isPython, dir, json }: NewOptions): Promise<void> {
  toFunctionName(name);
  const folder = resolve(dir, name);
  const files = templates(name)[isPython ? "python" : "node"];
  if ((await readdir(folder).catch(() => [])).length > 0)
    throw new NikaError("conflict", `${folder} is there already; choose another name or folder.`);
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text, { flag: "wx" });
  if (json) return terminal.json({ name, folder, files: Object.keys(files) });
  terminal.line(`${folder}: ${Object.keys(files).join(", ")}`);
  terminal.note(`Write it, then hand it over with \`nika functions deploy ${dir === "." ? name : folder}\`.`);
}

export type DeployOptions = JsonOption & {
  readonly path: string;
  readonly name: string | undefined;
  readonly dataDir: string;
  readonly signal: AbortSignal;
};

/** Checks it here, swaps it in whole, and waits until the appliance serves exactly these bytes or says why it does not. */
export async function runDeploy(terminal: Terminal, client: Client, options: DeployOptions): Promise<void> {
  const { path, dataDir, json, signal } = options;
  const from = resolve(path);
  const about = await stat(from);
  const name = options.name ?? basename(from, about.isDirectory() ? "" : extname(from));
  const source = await readSource(from, toFunctionName(name));
  if (isNikaError(source.manifest)) throw source.manifest;
  const dir = join(dataDir, "functions");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await swapIn(source.files, { dir, name });
  const served = await untilServed(client, { name, version: source.version, signal });
  if (served.version !== source.version)
    throw new NikaError(
      served.state === "refused" ? "denied" : "invalid",
      `${name} was handed over and does not answer: ${served.problem ?? "see `nika logs`"}${
        served.version === undefined ? "" : ` The version before goes on.`
      }`,
    );
  const secret = served.manifest?.webhook?.verify === "hmac-sha256" ? await firstSecret(client, name) : undefined;
  const hook = served.manifest?.webhook && `${client.run.url}/hooks/${name}`;
  if (json) return terminal.json({ ...served, ...(hook && { hook }), ...(secret !== undefined && { secret }) });
  terminal.line(
    `${name} ${source.version.slice(0, 8)} answers${served.isBare ? terminal.style("red", ", WITHOUT a sandbox") : ""}.`,
  );
  if (served.problem !== undefined) terminal.note(served.problem);
  if (hook) terminal.line(`hook: POST ${hook}`);
  if (secret !== undefined) {
    terminal.line(`secret: ${secret}`);
    terminal.note("It is shown once. Give it to whoever signs the deliveries.");
  }
}

/** A secret that is there already stays, and is not told again. */
async function firstSecret(client: Client, name: string): Promise<string | undefined> {
  return (await post<{ secret?: string }>(client, "secret", { name, isFirst: true })).secret;
}

/** Two renames: a crash between them leaves the old one, which the appliance puts back at its start. */
async function swapIn(files: ReadonlyMap<string, Buffer>, { dir, name }: { dir: string; name: string }): Promise<void> {
  const fresh = await mkdtemp(join(dir, `.new-${name}-`));
  try {
    for (const [path, bytes] of files) {
      await mkdir(join(fresh, path, ".."), { recursive: true });
      await writeFile(join(fresh, path), bytes);
    }
    const place = join(dir, name);
    const old = join(dir, `.old-${name}`);
    await rm(old, { recursive: true, force: true });
    await rename(place, old).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(fresh, place);
    await rm(old, { recursive: true, force: true });
    // It may have been a single file until now, which the folder takes the place of.
    for (const ending of [".ts", ".mts", ".js", ".mjs", ".py"]) await rm(`${place}${ending}`, { force: true });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

type Awaited = { readonly name: string; readonly version: string; readonly signal: AbortSignal };

async function untilServed(client: Client, { name, version, signal }: Awaited): Promise<FunctionView> {
  const late = AbortSignal.timeout(servedMs);
  try {
    return await withLive<FunctionView>(await client.live(), AbortSignal.any([signal, late]), (watch, done) => {
      watch(api.functions.get, { name }, (f) => {
        if (!f || f.sourceVersion !== version || f.state === "checking") return;
        if (f.version === version || f.problem !== undefined) done(f);
      });
    });
  } catch (error) {
    if (late.aborted && !signal.aborted)
      throw new NikaError("timeout", `${name} was handed over, but the appliance has not looked at it yet; see its log.`, {
        cause: error,
      });
    throw error;
  }
}

export async function runList(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const all = await (await client.http()).query(api.functions.list, {});
  if (json) return terminal.json(all);
  if (all.length === 0) return terminal.line("There is no function yet; `nika functions new NAME` makes one.");
  const rows = all.map((f) => [
    f.name,
    stateOf(terminal, f),
    f.version?.slice(0, 8) ?? "",
    `${f.done} done`,
    f.failed === 0 ? "" : `${f.failed} failed`,
    f.p50Ms === undefined ? "" : `${msOf(f.p50Ms)} (p95 ${msOf(f.p95Ms ?? f.p50Ms)})`,
    oneLine(f.problem ?? f.lastError ?? ""),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [6] })) terminal.line(line);
}

const stateOf = (terminal: Terminal, { state, isBare, version, sourceVersion }: FunctionView): string =>
  isBare && state === "serving"
    ? terminal.style("red", "NO SANDBOX")
    : state === "serving" && version !== sourceVersion
      ? "serving, edit broken"
      : state;

export async function runShow(terminal: Terminal, client: Client, { name, json }: JsonOption & { name: string }): Promise<void> {
  const f = await find(client, name);
  const runs = await (await client.http()).query(api.functions.invocations, { name, limit: 10 });
  if (json) return terminal.json({ ...f, invocations: runs });
  terminal.line(`${terminal.style("bold", name)} ${f.version?.slice(0, 8) ?? "(no version answers)"} · ${stateOf(terminal, f)}`);
  if (f.problem !== undefined) for (const line of wrap(oneLine(f.problem), terminal.width - 2)) terminal.line(`  ${line}`);
  const { manifest: m } = f;
  if (m) {
    const { memoryMiB, cpus, timeLimitMs, egress, schedule, webhook } = m;
    const limits = `${memoryMiB} MiB, ${cpus} processors, ${timeLimitMs / 1_000} s, ${m.concurrency} at a time, ${m.attemptsMax} tries`;
    terminal.line(`  ${m.language}, ${m.entry} · ${limits}`);
    terminal.line(`  network: ${f.isBare ? terminal.style("red", "open") : egress.length === 0 ? "none" : egress.join(", ")}`);
    if (schedule !== undefined) terminal.line(`  runs: ${oneLine(schedule)}`);
    if (webhook)
      terminal.line(
        `  hook: POST ${client.run.url}/hooks/${name} (${webhook.verify === "none" ? "PUBLIC" : `signed, ${webhook.signs}`})`,
      );
  }
  for (const line of runLines(terminal, runs)) terminal.line(line);
}

function runLines(terminal: Terminal, runs: readonly InvocationView[]): string[] {
  const rows = runs.map(({ id, state, trigger, facts, error, createdAt }) => [
    id,
    state === "failed" ? terminal.style("red", state) : state,
    trigger,
    `${spanOf(Date.now() - createdAt)} ago`,
    facts ? `${msOf(facts.tookMs)}${facts.coldMs === undefined ? "" : ` (cold, ${msOf(facts.coldMs)})`}` : "",
    oneLine(error?.message ?? ""),
  ]);
  return table(rows, { width: terminal.width, give: [5] });
}

export type InvokeOptions = JsonOption & {
  readonly name: string;
  /** JSON, or words; `@FILE` reads a file, `-` standard input. */
  readonly input: string | undefined;
  readonly hasLogs: boolean;
  /** As a job, which outlives this command. */
  readonly isJob: boolean;
  readonly signal: AbortSignal;
};

/** Prints what came of it. Fails when the function did, with its sentence. */
export async function runInvoke(terminal: Terminal, client: Client, options: InvokeOptions): Promise<void> {
  const { name, hasLogs, isJob, json, signal } = options;
  toFunctionName(name);
  const input = await toInput(options.input);
  if (isJob) {
    const { id } = await (await client.http()).mutation(api.functions.invoke, { name, input: JSON.stringify(input) });
    const run = await followRun(terminal, client, { id, hasLogs: hasLogs && !json, signal });
    if (json) return terminal.json(run);
    if (run.state !== "done") throw failed(run.error);
    terminal.line(pretty(await outputOf(run)));
    return;
  }
  const answer = await post<FunctionAnswer>(client, "call", { name, input }, signal);
  if (json) {
    terminal.json({ ...answer, ...(answer.output !== undefined && { output: JSON.parse(answer.output) as unknown }) });
    if (!answer.ok) throw failed(answer.error);
    return;
  }
  if (hasLogs) for (const line of answer.log.trimEnd().split("\n")) terminal.note(printable(line));
  if (!answer.ok) throw failed(answer.error);
  terminal.line(pretty(answer.output ?? "null"));
  const { facts } = answer;
  if (facts)
    terminal.note(
      `${msOf(facts.tookMs)} (${facts.coldMs === undefined ? "warm" : `cold: ${msOf(facts.coldMs)} for its sandbox`})${facts.isBare ? terminal.style("red", ", WITHOUT a sandbox") : ""}`,
    );
}

const failed = (error: { readonly message: string } | undefined): NikaError =>
  new NikaError("invalid", error?.message ?? "The function failed.");

async function outputOf({ output, outputUrl }: InvocationDetail): Promise<string> {
  if (outputUrl === undefined) return output ?? "null";
  return (await fetch(outputUrl)).text();
}

type Follow = { readonly id: string; readonly hasLogs: boolean; readonly signal: AbortSignal };

/** Until it has ended. What it says is told as it comes. */
async function followRun(terminal: Terminal, client: Client, { id, hasLogs, signal }: Follow): Promise<InvocationDetail> {
  let told = { attempt: 0, chars: 0 };
  return withLive<InvocationDetail>(await client.live(), signal, (watch, done) => {
    watch(api.functions.invocation, { id }, (run) => {
      if (!run) return;
      if (hasLogs) {
        if (run.attempt !== told.attempt) told = { attempt: run.attempt, chars: 0 };
        // Half a line waits for its other half.
        const end = run.state === "open" ? run.log.lastIndexOf("\n") + 1 : run.log.length;
        for (const line of run.log.slice(told.chars, end).trimEnd().split("\n"))
          if (end > told.chars) terminal.note(printable(line));
        told.chars = Math.max(told.chars, end);
      }
      if (run.state !== "open") done(run);
    });
  });
}

export type LogsOptions = JsonOption & {
  readonly name: string;
  readonly limit: number;
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
};

/** What its last runs said, oldest first; with `isFollowing` what comes, as it comes. */
export async function runFunctionLogs(terminal: Terminal, client: Client, options: LogsOptions): Promise<void> {
  const { name, limit, isFollowing, json, signal } = options;
  await find(client, name);
  const http = await client.http();
  const seen = new Map<string, { attempt: number; chars: number; isOver: boolean }>();
  const show = (run: InvocationDetail): void => {
    const before = seen.get(run.id) ?? { attempt: run.attempt, chars: 0, isOver: false };
    if (before.isOver) return;
    const isNew = !seen.has(run.id) || before.attempt !== run.attempt;
    const from = isNew ? 0 : before.chars;
    const isOver = run.state !== "open";
    seen.set(run.id, { attempt: run.attempt, chars: run.log.length, isOver });
    if (isNew) terminal.line(terminal.style("bold", `${new Date(run.createdAt).toISOString()} ${run.id} ${run.trigger}`));
    const fresh = run.log.slice(from).trimEnd();
    if (fresh !== "") for (const line of fresh.split("\n")) terminal.line(`  ${printable(line)}`);
    if (!isOver) return;
    if (run.logDropped > 0) terminal.line(terminal.style("dim", `  … ${run.logDropped} more characters were not kept`));
    const took = run.facts ? ` in ${msOf(run.facts.tookMs)}` : "";
    terminal.line(
      run.error
        ? terminal.style("red", `  failed: ${oneLine(run.error.message)}`)
        : terminal.style("dim", `  ${run.state}${took}`),
    );
  };
  const details = async (runs: readonly InvocationView[]): Promise<InvocationDetail[]> => {
    const found = await Promise.all(runs.toReversed().map(({ id }) => http.query(api.functions.invocation, { id })));
    return found.filter((run) => run !== null);
  };
  const first = await details(await http.query(api.functions.invocations, { name, limit }));
  if (json) return terminal.json(first);
  if (first.length === 0) terminal.note(`${name} has not run yet.`);
  for (const run of first) show(run);
  if (!isFollowing) return;
  try {
    await withLive<void>(await client.live(), signal, (watch) => {
      const followed = new Set(first.filter(({ state }) => state !== "open").map(({ id }) => id as string));
      watch(api.functions.invocations, { name, limit }, (runs) => {
        for (const { id } of runs.toReversed()) {
          if (followed.has(id)) continue;
          followed.add(id);
          const stop = watch(api.functions.invocation, { id }, (run) => {
            if (!run) return;
            show(run);
            if (run.state !== "open") queueMicrotask(() => stop());
          });
        }
      });
    });
  } catch (error) {
    // Ctrl-C is how one leaves, and therefore no failure.
    if (!signal.aborted) throw error;
  }
}

export type AllowOptions = JsonOption & { readonly name: string; readonly isBare: boolean };

export async function runAllow(terminal: Terminal, client: Client, { name, isBare, json }: AllowOptions): Promise<void> {
  await (await client.http()).mutation(api.functions.allow, { name, isBare });
  if (json) return terminal.json({ name, isBareAllowed: isBare });
  terminal.line(
    isBare
      ? terminal.style("red", `${name} may run without a sandbox where there is none: nothing then keeps it from the network.`)
      : `${name} runs in a sandbox or not at all.`,
  );
}

export async function runRemove(
  terminal: Terminal,
  client: Client,
  { name, json }: JsonOption & { name: string },
): Promise<void> {
  await post(client, "remove", { name });
  if (json) return terminal.json({ name });
  terminal.line(`${name} is gone, with its files and its runs.`);
}

export type SecretOptions = JsonOption & { readonly name: string; readonly file: string | undefined };

/** Makes a new secret and shows it once, or keeps the one that stands in a file. */
export async function runSecret(terminal: Terminal, client: Client, { name, file, json }: SecretOptions): Promise<void> {
  const value = file === undefined ? undefined : await readText(file);
  const { secret } = await post<{ secret?: string }>(client, "secret", { name, ...(value !== undefined && { value }) });
  if (json) return terminal.json({ name, ...(secret !== undefined && { secret }) });
  if (secret === undefined) return terminal.line(`The hook of ${name} has that secret now.`);
  terminal.line(secret);
  terminal.note("It is shown once, and the one before opens nothing any more. Give it to whoever signs the deliveries.");
}

async function find(client: Client, name: string): Promise<FunctionView> {
  const f = await (await client.http()).query(api.functions.get, { name });
  if (!f) throw new NikaError("missing", `There is no function called ${oneLine(name)}; see \`nika functions\`.`);
  return f;
}

async function post<T>(client: Client, verb: string, body: object, signal?: AbortSignal): Promise<T> {
  const authorization = `Bearer ${await client.token()}`;
  return client.post<T>(`/nika/functions/${verb}`, { authorization, body, timeoutMs: callMs, ...(signal && { signal }) });
}

async function toInput(given: string | undefined): Promise<unknown> {
  if (given === undefined) return null;
  const text = given === "-" ? await readText("-") : given.startsWith("@") ? await readText(given.slice(1)) : given;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    if (given !== text) throw new NikaError("invalid", "What a function is given must be JSON.");
    return text;
  }
}

async function readText(file: string): Promise<string> {
  if (file !== "-") return readFile(file, "utf8");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const pretty = (json: string): string => {
  const value: unknown = JSON.parse(json);
  return typeof value === "string" ? printable(value) : JSON.stringify(value, undefined, 2);
};
const msOf = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1_000)} s`;
