/** `nika gpu`: work sent out, followed and paid for. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { Offer, ProviderId } from "../../convex/model/gpu.ts";
import { isJobOver, type GpuJobView, type QuoteView } from "../../convex/model/gpuJob.ts";
import { shownState, type MachineView } from "../../convex/model/machine.ts";
import { machineText } from "../../convex/model/machineWords.ts";
import type { Swept } from "../../functions/machines/sweep.ts";
import type { Client } from "./client.ts";
import { confirmed } from "./confirm.ts";
import type { AskFlags, CapFlags, NeedFlags, RunFlags } from "./gpuFlags.ts";
import { tellBills } from "./gpuBills.ts";
import { withLive } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, printable, sizeOf, spanOf, table } from "./text.ts";

type Asked = {
  readonly folder: string;
  readonly words: readonly string[];
  readonly flags: AskFlags;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

export const stateWords: Readonly<Record<GpuJobView["state"], string>> = {
  queued: "in line",
  placing: "looking for a machine",
  provisioning: "getting a machine",
  parked: "waiting for a machine",
  staging: "being sent there",
  running: "running",
  uploading: "handing over its results",
  succeeded: "done",
  failed: "failed",
  cancelled: "cancelled",
  timedOut: "ran out of time",
  budgetStopped: "stopped by a cap",
  deadlineMissed: "too late",
};
const resultsOf = (count: number): string => (count === 1 ? "1 result" : `${count} results`);
const quoteWaitMs = 10 * 60_000;
const gbInMb = 1_000;
const micros = 1_000_000;
const failedCode = 1;

/** "€0.42", "€0.0031", "$1.20": two digits behind the point, more of what is small. */
export function moneyOf({ micros: amount, currency }: { readonly micros: number; readonly currency: "EUR" | "USD" }): string {
  const value = amount / micros;
  const digits = value === 0 || value >= 0.1 ? 2 : 4;
  return `${currency === "EUR" ? "€" : "$"}${value.toFixed(digits)}`;
}
export const euros = (amount: number): string => moneyOf({ micros: amount, currency: "EUR" });

/** "2 x H200 (141 GB), 16 processors" */
export function hardwareOf({ gpu, cpus, memoryMb }: Offer): string {
  const card =
    gpu &&
    `${gpu.count} x ${gpu.isSimulated === true ? "simulated GPU " : ""}${gpu.name} (${Math.round(gpu.memoryMb / gbInMb)} GB)`;
  return [card, `${cpus} processors`, `${Math.round(memoryMb / gbInMb)} GB of memory`].filter(Boolean).join(", ");
}

export const simulatedOf = ({ isSimulated }: Offer): string => (isSimulated === true ? " (simulated scenario)" : "");

async function quoteFor(client: Client, { folder, words, flags, signal }: Asked): Promise<QuoteView> {
  const path = resolve(folder);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new NikaError("missing", `${folder} is not there.`);
  const unpacked = found.isDirectory() ? undefined : await unpack(path);
  try {
    return await client.post<QuoteView>("/nika/gpu/quote", {
      authorization: `Bearer ${await client.token()}`,
      timeoutMs: quoteWaitMs,
      signal,
      body: {
        folder: unpacked ?? path,
        command: words,
        label: flags.label,
        image: flags.image,
        environment: Object.fromEntries((flags.env ?? []).map((one) => variableOf(one))),
        ...errandOf(flags),
      },
    });
  } finally {
    if (unpacked !== undefined) await rm(unpacked, { recursive: true, force: true });
  }
}

/** As it is asked for. */
export const errandOf = (flags: NeedFlags): object => ({
  need: {
    ...(flags.gpu !== undefined || flags.gpuMemory !== undefined
      ? { gpu: { count: flags.gpu ?? 1, memoryMb: (flags.gpuMemory ?? 0) * gbInMb } }
      : {}),
    cpus: flags.cpus,
    ...(flags.memory !== undefined && { memoryMb: flags.memory * gbInMb }),
    ...(flags.disk !== undefined && { diskMb: flags.disk * gbInMb }),
    isInEu: flags.eu,
    maySpot: flags.spot,
  },
  runMsMax: flags.time,
  ...(flags.cost !== undefined && { costMax: { micros: Math.round(flags.cost * micros), currency: "EUR" } }),
  providers: flags.on,
});

function variableOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new NikaError("invalid", `"${text}" is no variable; write NAME=value.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** With the machine's own programs, which refuse names that lead out of the folder. */
async function unpack(archive: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nikaGpu"));
  const run = promisify(execFile);
  const isZip = archive.endsWith(".zip");
  await (
    isZip ? run("unzip", ["-q", archive, "-d", folder]) : run("tar", ["-xf", archive, "-C", folder, "--no-same-owner"])
  ).catch(async (cause: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw new NikaError("invalid", `${archive} could not be unpacked with ${isZip ? "unzip" : "tar"}.`, { cause });
  });
  return folder;
}

function showQuote(terminal: Terminal, { offer, atMost, says, others }: QuoteView): void {
  const isFree = offer.hourly.micros === 0 && atMost.micros === 0;
  const isOwn = offer.provider === "local" || offer.provider === "ssh";
  const price = isFree ? "It costs nothing" : `It costs ${moneyOf(offer.hourly)} an hour${offer.isSpot ? ", spot" : ""}`;
  terminal.line(`${offer.provider}: ${offer.type}, ${hardwareOf(offer)}. ${price} (${offer.priceSource}).`);
  if (!isFree) {
    terminal.line(`At most ${moneyOf(atMost)}, should it take as long as it may.`);
    terminal.line(oneLine(says));
  }
  if (isOwn && offer.stock === "low") terminal.line("All of it is in use now: the work waits in line.");
  if (others.length > 0)
    terminal.line(
      `Also: ${others
        .slice(0, 4)
        .map((one) => `${one.provider} ${one.type} ${moneyOf(one.hourly)}/h`)
        .join(", ")}.`,
    );
}

export async function runGpuQuote(terminal: Terminal, client: Client, asked: Asked): Promise<void> {
  const quote = await quoteFor(client, asked);
  if (asked.json) return terminal.json(quote);
  showQuote(terminal, quote);
  terminal.line(`Quote ${quote.id}, good until ${new Date(quote.until).toLocaleTimeString()}.`);
}

/** The exit code: 0 when the work succeeded, or was started with --detach. */
export async function runGpuRun(
  terminal: Terminal,
  client: Client,
  asked: Asked & { readonly flags: RunFlags },
): Promise<number> {
  const { flags, json, signal } = asked;
  const quote = await quoteFor(client, asked);
  if (!json) showQuote(terminal, quote);
  if (quote.atMost.micros > 0 && flags.yes !== true) {
    const question = { text: `Spend up to ${moneyOf(quote.atMost)}?`, otherwise: "It costs money; say --yes.", signal };
    if (!(await confirmed(terminal, question))) return 0;
  }
  const http = await client.http();
  const id = await http.mutation(api.gpuJobs.run, { quoteId: quote.id });
  if (!json) terminal.note(`Job ${id}. \`nika gpu logs ${id} -f\` shows it, \`nika gpu cancel ${id}\` ends it.`);
  if (flags.detach) {
    if (json) terminal.json({ id });
    return 0;
  }
  const view = await watchJob(terminal, client, { id, isQuiet: json, signal });
  if (view.state === "succeeded" && flags.out !== undefined) await fetchTo(client, id, flags.out);
  if (json) terminal.json(view);
  else tellEnd(terminal, view, flags.out);
  return view.state === "succeeded" ? 0 : failedCode;
}

function tellEnd(terminal: Terminal, view: GpuJobView, out?: string): void {
  const { state, startedAt, endedAt, spent, problem, files, label } = view;
  const took = startedAt !== undefined && endedAt !== undefined ? ` after ${spanOf(endedAt - startedAt)}` : "";
  if (state === "succeeded")
    terminal.note(
      `${oneLine(label)} is done${took}, for ${euros(spent)} so far. ${files === 0 ? "It left no results." : out === undefined ? `${resultsOf(files)}: \`nika gpu fetch ${view.id} --out FOLDER\`.` : `${resultsOf(files)} in ${out}.`}`,
    );
  else terminal.note(`${oneLine(label)}: ${oneLine(problem?.message ?? state)}`);
}

type Watching = { readonly id: string; readonly isQuiet: boolean; readonly signal: AbortSignal };

/** Shows output and changes of state until it is over. */
async function watchJob(terminal: Terminal, client: Client, { id, isQuiet, signal }: Watching): Promise<GpuJobView> {
  let state = "";
  let attempt = 0;
  let shown = 0;
  let last: GpuJobView | undefined;
  return withLive<GpuJobView>(await client.live(), signal, (watch, done) => {
    let stop: (() => void) | undefined;
    let isOver = false;
    const finish = (): void => {
      if (isOver && last && shown >= last.logBytes) done(last);
    };
    const follow = (offset: number): void => {
      stop?.();
      stop = watch(api.gpuJobs.log, { id, offset, attempt }, ({ text, next }) => {
        const fresh =
          next > shown
            ? Buffer.from(text)
                .subarray(Math.max(0, shown - offset))
                .toString("utf8")
            : "";
        shown = Math.max(shown, next);
        if (fresh !== "" && !isQuiet) process.stdout.write(printable(fresh));
        // What was shown need not be sent again with what comes.
        if (shown - offset > 100_000) queueMicrotask(() => follow(shown));
        finish();
      });
    };
    watch(api.gpuJobs.get, { id }, (view) => {
      if (!view) throw noSuchJob();
      last = view;
      if (view.state !== state && !isQuiet) terminal.note(stateLine(view));
      ({ state } = view);
      if (view.attempt !== attempt && view.attempt > 0) {
        ({ attempt } = view);
        shown = 0;
        follow(0);
      }
      isOver = isJobOver(view.state);
      if (isOver && view.attempt === 0) done(view);
      finish();
    });
  });
}

function stateLine({ state, offer, problem, parkedUntil }: GpuJobView): string {
  if (state === "parked")
    return `waiting for a machine until ${new Date(parkedUntil ?? 0).toLocaleTimeString()}: ${oneLine(problem?.message ?? "no machine is to be had")}`;
  if (state === "provisioning" && offer) return `getting a machine: ${offer.provider}, ${offer.type}, ${hardwareOf(offer)}`;
  return stateWords[state];
}

export async function runGpuLogs(
  terminal: Terminal,
  client: Client,
  {
    job,
    follow,
    attempt,
    signal,
  }: { readonly job: string; readonly follow: boolean; readonly attempt?: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  if (follow && attempt === undefined) {
    tellEnd(terminal, await watchJob(terminal, client, { id: job, isQuiet: false, signal }));
    return;
  }
  const http = await client.http();
  for (let offset = 0; ;) {
    const { text, next } = await http.query(api.gpuJobs.log, { id: job, offset, ...(attempt !== undefined && { attempt }) });
    if (text === "" && offset === 0)
      return terminal.note(attempt === undefined ? "Nothing was written yet." : `Nothing was written on machine ${attempt}.`);
    if (text === "") return;
    process.stdout.write(printable(text));
    offset = next;
  }
}

export async function runGpuFetch(
  terminal: Terminal,
  client: Client,
  { job, out, json }: { readonly job: string; readonly out: string; readonly json: boolean },
): Promise<void> {
  const view = await (await client.http()).query(api.gpuJobs.get, { id: job });
  if (!view) throw noSuchJob();
  if (!isJobOver(view.state))
    throw new NikaError("conflict", `It is not done yet: ${stateWords[view.state]}. \`nika gpu logs ${job} -f\` shows it.`);
  if (view.files === 0)
    throw new NikaError("missing", `It left no results: ${stateWords[view.state]}. \`nika gpu show ${job}\` says more.`);
  const files = await fetchTo(client, job, out);
  if (json) return terminal.json({ files, folder: resolve(out) });
  terminal.line(`${resultsOf(files)} in ${out}.`);
}

export const noSuchJob = (): NikaError => new NikaError("missing", "There is no such job; see `nika gpu list`.");

async function fetchTo(client: Client, jobId: string, out: string): Promise<number> {
  const authorization = `Bearer ${await client.token()}`;
  const { folder } = await client.post<{ folder: string }>("/nika/gpu/results", { authorization, body: { jobId } });
  await cp(folder, resolve(out), { recursive: true });
  return (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
}

export async function runGpuList(
  terminal: Terminal,
  client: Client,
  { limit, json }: { readonly limit: number; readonly json: boolean },
): Promise<void> {
  const http = await client.http();
  const [jobs, machines] = await Promise.all([http.query(api.gpuJobs.list, { limit }), http.query(api.machines.list, {})]);
  if (json) return terminal.json({ jobs, machines });
  if (jobs.length === 0 && machines.length === 0) {
    terminal.line("No work was sent out, and no machine is there. `nika gpu run FOLDER COMMAND` sends some.");
    return;
  }
  for (const line of table(jobs.map(jobRow), { width: terminal.width, give: [2, 4] })) terminal.line(line);
  if (machines.length > 0) terminal.line("");
  for (const line of table(machines.map(machineRow), { width: terminal.width, give: [2, 1] })) terminal.line(line);
  const leaks = machines.filter(({ state }) => state === "leakSuspect");
  if (leaks.length > 0)
    terminal.line(
      terminal.style(
        "red",
        `${leaks.length} should be gone and may still cost money; Nika goes on trying. Look at the provider's own page.`,
      ),
    );
}

const jobRow = ({ id, state, label, spent, offer, logBytes }: GpuJobView): string[] => [
  id,
  stateWords[state],
  oneLine(label),
  euros(spent),
  offer ? `${offer.provider} ${offer.gpu?.isSimulated === true ? "(simulated GPU) " : ""}${offer.type}${simulatedOf(offer)}` : "",
  sizeOf(logBytes),
];
const machineRow = (machine: MachineView): string[] => {
  const { name, provider, offer, why } = machine;
  return [
    name,
    `${provider} ${offer.type}${simulatedOf(offer)}`,
    hardwareOf(offer),
    `${moneyOf(offer.hourly)}/h`,
    machineText(shownState(machine), why),
  ];
};

export async function runGpuCancel(
  terminal: Terminal,
  client: Client,
  { job, json }: { readonly job: string; readonly json: boolean },
): Promise<void> {
  const http = await client.http();
  const before = await http.query(api.gpuJobs.get, { id: job });
  if (!before) throw noSuchJob();
  const wasOver = isJobOver(before.state);
  if (!wasOver) await http.mutation(api.gpuJobs.cancel, { id: job });
  if (json) return terminal.json({ id: job, wasOver, state: wasOver ? before.state : "cancelled" });
  if (wasOver) return terminal.line(`It was over before: ${stateWords[before.state]}.`);
  terminal.line(before.machineId === undefined ? "It is cancelled." : "It is cancelled; its machine is being ended.");
}

export async function runGpuSweep(
  terminal: Terminal,
  client: Client,
  { end, json }: { readonly end: boolean; readonly json: boolean },
): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const { things, failures } = await client.post<Swept>("/nika/gpu/sweep", {
    authorization,
    body: { isDryRun: !end },
    timeoutMs: quoteWaitMs,
  });
  if (json) return terminal.json({ things, failures });
  tellSwept(terminal, { things, failures });
}

export function tellSwept(terminal: Terminal, { things, failures }: Swept): void {
  for (const { provider, observed, verdict, ended } of things)
    terminal.line(
      `${provider}  ${observed.name}  ${observed.state}  ${verdict}${ended === undefined ? "" : `, ended: ${ended}`}`,
    );
  for (const { provider, says } of failures) terminal.line(`${provider} could not be looked through: ${oneLine(says)}`);
  if (things.length === 0 && failures.length === 0) terminal.line("Nothing is there.");
}

export async function runGpuPanic(
  terminal: Terminal,
  client: Client,
  { yes, signal }: { readonly yes: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const question = {
    text: "End all machines and cancel what runs on them?",
    otherwise: "Say --yes to end all machines.",
    signal,
  };
  if (!yes && !(await confirmed(terminal, question))) return;
  const count = await (await client.http()).mutation(api.machines.panic, {});
  terminal.line(
    `${count === 1 ? "1 machine is" : `${count} machines are`} being ended; nothing more is rented until \`nika gpu resume\`. \`nika gpu list\` shows when they are gone.`,
  );
}

export async function runGpuResume(terminal: Terminal, client: Client): Promise<void> {
  await (await client.http()).mutation(api.machines.resume, {});
  terminal.line("Machines may be rented again; what waited for one is placed now.");
}

export async function runGpuSpend(
  terminal: Terminal,
  client: Client,
  { caps, json }: { readonly caps: CapFlags & { json?: true }; readonly json: boolean },
): Promise<void> {
  const http = await client.http();
  const { day, month, job, agent, hour, providerDay, rate } = caps;
  const ofProviders = Object.entries(providerDay ?? {}) as [ProviderId, number | "none"][];
  const uncapped = ofProviders.flatMap(([name, value]) => (value === "none" ? [name] : []));
  const capped = ofProviders.flatMap(([name, value]) => (value === "none" ? [] : [[name, value] as const]));
  const amount = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : Math.round(value * micros);
  const changes = Object.fromEntries(
    Object.entries({
      day: amount(day),
      month: amount(month),
      job: amount(job),
      agentDay: amount(agent),
      hourly: amount(hour),
      providerDay: capped.length === 0 ? undefined : Object.fromEntries(capped.map(([name, value]) => [name, amount(value)])),
    }).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(changes).length > 0 || uncapped.length > 0)
    await http.mutation(api.gpuSpend.setCaps, { caps: changes, ...(uncapped.length > 0 && { uncapped }) });
  if (rate !== undefined) await http.mutation(api.gpuSpend.setRate, { usdPerEur: rate });
  const spend = await http.query(api.gpuSpend.get, { now: Date.now() });
  if (json) return terminal.json(spend);
  const { hourly, reserved, spentToday, orphanWorst, spentMonth, machines, suspects, caps: limits, warnings, stoppedAt } = spend;
  terminal.line(`Now: ${euros(hourly)} an hour, for ${machines === 1 ? "1 machine" : `${machines} machines`}.`);
  terminal.line(`Set aside: ${euros(reserved)}. Spent today: ${euros(spentToday)}, this month: ${euros(spentMonth)}.`);
  terminal.line(`Should Nika be cut off now, what runs would cost at most ${euros(orphanWorst)} before it ends itself.`);
  terminal.line(
    `May be spent at most: ${euros(limits.day)} a day, ${euros(limits.month)} a month, ${euros(limits.job)} for a job, ${euros(limits.agentDay)} a day by agents, ${euros(limits.hourly)} an hour for all machines together.`,
  );
  for (const [name, value] of Object.entries(limits.providerDay ?? {}))
    terminal.line(`At ${name}: at most ${euros(value)} a day.`);
  terminal.line(
    spend.rateAt === undefined
      ? "Dollars count as euros until `--rate` says what a euro is worth."
      : `A euro counts as ${moneyOf({ micros: spend.usdPerEur * micros, currency: "USD" })}, as you said.`,
  );
  for (const warning of warnings) terminal.line(oneLine(warning));
  await tellBills(terminal, http);
  if (suspects > 0) terminal.line(terminal.style("red", `${suspects} machines should be gone and may still cost money.`));
  if (stoppedAt !== undefined) terminal.line("Nothing is rented until `nika gpu resume`.");
}
