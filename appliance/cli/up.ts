/** `nika up`: starts the appliance in the background and leaves once it is healthy. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { codes, NikaError, type Code } from "../../convex/model/error.ts";
import { environmentWith, type Config } from "../config.ts";
import { nodeEnvironment, nodeFlags } from "../nodeFlags.ts";
import { openClient, type Client } from "./client.ts";
import { interrupted } from "./live.ts";
import { makeLink, printLink } from "./link.ts";
import { findRun, isNikaProcess } from "./running.ts";
import type { Terminal } from "./terminal.ts";

export type UpOptions = { readonly link: boolean; readonly signal: AbortSignal };

const mainPath = join(import.meta.dirname, "..", "main.ts");
const preloadUrl = new URL("compileCache.ts", import.meta.url).href;
/** A first start makes keys and opens databases in about a second; a backend that has to be deployed to takes far longer. */
const readyMs = 120_000;
const healthMs = 5_000;
/** Past this the log starts anew at the next start; one older file is kept. */
const logBytesMax = 16 * 1024 * 1024;

/** Says so and makes a fresh link when the appliance already runs. */
export async function runUp(terminal: Terminal, config: Config, { link, signal }: UpOptions): Promise<void> {
  const hasRun = await isAnswering(config);
  if (!hasRun) await startInBackground(config, signal);
  const client = openClient(config);
  const url = terminal.style("bold", client.run.url);
  terminal.line(
    hasRun ? `Nika is already running at ${url} (pid ${client.run.pid}).` : `Nika is running at ${url} (pid ${client.run.pid}).`,
  );
  await printWelcome(terminal, client, link);
}

/** Runs in this process until it is stopped, by Ctrl-C or `nika stop`. The log goes to stderr. */
export async function runForeground(terminal: Terminal, config: Config, { link, signal }: UpOptions): Promise<void> {
  const { startAppliance } = await import("../main.ts");
  const appliance = await startAppliance(config, (line) => terminal.note(`${new Date().toISOString()} ${line}`));
  signal.addEventListener("abort", () => void appliance.stop(), { once: true });
  process.once("SIGTERM", () => void appliance.stop());
  terminal.line(`Nika is running at ${terminal.style("bold", appliance.url)}; Ctrl-C stops it.`);
  if (link) await printLink(terminal, await makeLink(openClient(config)));
  if (signal.aborted) await appliance.stop();
  await appliance.stopped;
}

async function printWelcome(terminal: Terminal, client: Client, hasLink: boolean): Promise<void> {
  if (hasLink) {
    terminal.line();
    await printLink(terminal, await makeLink(client));
  }
  terminal.line();
  terminal.line("Next: nika ingest ~/Documents --wait");
  terminal.line('      nika ask "what did we agree on travel?"');
  terminal.line("Stop: nika stop");
}

/** Whether the appliance of this data directory answers. One that lives but does not answer is an error: it must be stopped first. */
async function isAnswering(config: Config): Promise<boolean> {
  const run = findRun(config.dataDir);
  if (run === undefined) return false;
  try {
    await openClient(config).get("/nika/health", { timeoutMs: healthMs });
    return true;
  } catch (error) {
    if (findRun(config.dataDir) === undefined || !isNikaProcess(run.pid)) return false;
    throw new NikaError("unavailable", `Nika is running (pid ${run.pid}) but does not answer; \`nika stop\` ends it.`, {
      cause: error,
    });
  }
}

async function startInBackground(config: Config, signal: AbortSignal): Promise<void> {
  const log = openLog(config.dataDir);
  const child = spawn(
    process.execPath,
    [...nodeFlags, "--import", preloadUrl, mainPath, "--data", config.dataDir, "--port", String(config.port)],
    {
      cwd: config.dataDir,
      detached: true,
      env: environmentWith(nodeEnvironment),
      stdio: ["ignore", log.file, log.file, "ipc"],
    },
  );
  closeSync(log.file);
  try {
    await whenReady(child, log, signal);
  } catch (error) {
    child.kill("SIGTERM");
    throw error;
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}

type Report = { type: "ready"; url: string } | { type: "failed"; code: string; message: string };

/** The child says `ready` or `failed` over its channel; ending without a word is a failure too. */
function whenReady(child: ChildProcess, log: LogFile, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (code: Code, message: string): void => reject(new NikaError(code, message, { cause: log.said() }));
    const timer = setTimeout(
      () => fail("timeout", `Nika did not become ready within ${readyMs / 1000} s; see ${log.path}.`),
      readyMs,
    );
    signal.addEventListener("abort", () => reject(interrupted()), { once: true });
    child.once("error", (error) => reject(new NikaError("bug", "Nika's own process could not be started.", { cause: error })));
    // Not "exit": a last word may still be on its way then.
    child.once("close", () => fail("bug", `Nika stopped while it was starting; see ${log.path}.`));
    child.on("message", (message) => {
      const report = message as Report;
      if (report.type === "ready") resolve();
      else if (report.code === "bug" || !(report.code in codes)) fail("bug", `Nika could not start; see ${log.path}.`);
      else fail(report.code as Code, report.message);
    });
    // The timer must not outlive the answer, whichever it was.
    child.once("disconnect", () => clearTimeout(timer));
  });
}

type LogFile = {
  readonly path: string;
  readonly file: number;
  /** What was written since it was opened. */
  said(): string;
};

function openLog(dataDir: string): LogFile {
  mkdirSync(join(dataDir, "log"), { recursive: true, mode: 0o700 });
  const path = join(dataDir, "log", "nika.log");
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) renameSync(path, `${path}.1`);
  const from = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return { path, file: openSync(path, "a", 0o600), said: () => readFileSync(path).subarray(from).toString() };
}
