/**
 * The larger half of nika-install.sh, which has checked the machine, put a Node in place and holds the lock of the prefix.
 * Whatever fails before the switch leaves nothing behind but PREFIX/.staging, which the script removes.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findRunning, isHealthy } from "./appliance.ts";
import { quoted, runCommand, writeCommand } from "./command.ts";
import { InstallFailure, toFailure } from "./failure.ts";
import { installPackages } from "./packages.ts";
import { progressLine } from "./progressLine.ts";
import { buildPage, copySources, currentRelease, placeRelease, pruneReleases, switchTo } from "./release.ts";

type Options = {
  readonly source: string;
  readonly prefix: string;
  readonly release: string;
  readonly registry: string;
  readonly nodeVersion: string;
  readonly npm: string;
  readonly port: number | undefined;
  readonly isOffline: boolean;
  readonly isStarted: boolean;
  /** Seconds that the script took before it came to this. */
  readonly waitedS: number;
};

const startedAt = performance.now();
const say = (text: string) => void process.stdout.write(`${text}\n`);

/** This very release is installed: at most start it, or move it to the port asked for. */
async function keep(options: Options): Promise<void> {
  const { prefix, release, port } = options;
  const running = findRunning(prefix);
  const isMoved = port !== undefined && running !== undefined && running.port !== port;
  say(`Nika ${release} is installed in ${prefix} already; nothing was changed${isMoved ? ` but the port, now ${port}` : ""}.`);
  if (isMoved) await runCommand(prefix, ["stop"], { isQuiet: true });
  if (port !== undefined) writeCommand(prefix, port);
  if (!options.isStarted) return;
  const status = await runCommand(prefix, ["up"], { isQuiet: false });
  if (status !== 0) process.exitCode = status;
}

async function install(options: Options): Promise<void> {
  const { prefix, release, nodeVersion, port } = options;
  const staging = join(prefix, ".staging");
  await makeRelease(options, staging);
  placeRelease({ prefix, release, nodeVersion, staging });

  const previous = currentRelease(prefix);
  const wasRunning = findRunning(prefix) !== undefined;
  if (wasRunning) await runCommand(prefix, ["stop"], { isQuiet: true });
  switchTo(prefix, release);
  writeCommand(prefix, port);
  const status = options.isStarted || wasRunning ? await start(prefix) : 0;
  if (status !== 0 && previous !== undefined && hasRelease(prefix, previous)) {
    await goBack(options, previous, wasRunning);
    throw new InstallFailure(
      "undone",
      `the new Nika did not start, so ${previous} is in place again; the log is ${logOf(prefix)}.`,
    );
  }
  pruneReleases(prefix, [release, previous]);
  report(options, status);
  process.exitCode = status;
}

async function makeRelease(options: Options, staging: string): Promise<void> {
  const dir = join(staging, "app");
  mkdirSync(dir);
  copySources(options.source, join(staging, "files"), dir);
  using line = progressLine();
  line.show("Installing the packages …");
  await installPackages({
    ...options,
    dir,
    onProgress: (done, total) => line.update(`Installing the packages … ${done} of ${total}`),
  });
  line.show("Building the page …");
  await buildPage(dir);
}

/** Resolves with 0 once the appliance is healthy, otherwise with the exit code of `nika up`, which has said why. */
async function start(prefix: string): Promise<number> {
  say("Starting Nika …");
  const status = await runCommand(prefix, ["up"], { isQuiet: false });
  return status === 0 && !(await isHealthy(prefix)) ? 70 : status;
}

async function goBack({ prefix, port }: Options, previous: string, wasRunning: boolean): Promise<void> {
  await runCommand(prefix, ["stop"], { isQuiet: true });
  switchTo(prefix, previous);
  writeCommand(prefix, port);
  if (wasRunning) await runCommand(prefix, ["up"], { isQuiet: true });
  pruneReleases(prefix, [previous]);
}

function hasRelease(prefix: string, release: string): boolean {
  return existsSync(join(prefix, "releases", release, "installed.json"));
}

function logOf(prefix: string): string {
  return join(prefix, "data", "log", "nika.log");
}

function report({ prefix, release, isStarted, waitedS }: Options, status: number): void {
  const command = quoted(join(prefix, "bin", "nika"));
  const seconds = (waitedS + (performance.now() - startedAt) / 1000).toFixed(0);
  say("");
  if (status !== 0)
    say(`Nika ${release} is installed but did not start; its log is ${logOf(prefix)}. Try again with: ${command} up`);
  else say(`Nika ${release} is installed in ${prefix} (${seconds} s).`);
  if (status === 0 && !isStarted) say(`Start: ${command} up`);
  say(`The command is ${command}; to call it nika: export PATH=${quoted(join(prefix, "bin"))}:$PATH`);
}

const { values } = parseArgs({
  options: {
    task: { type: "string", default: "install" },
    source: { type: "string", default: "" },
    prefix: { type: "string", default: "" },
    release: { type: "string", default: "" },
    registry: { type: "string", default: "" },
    "node-version": { type: "string", default: "" },
    npm: { type: "string", default: "" },
    port: { type: "string" },
    offline: { type: "boolean", default: false },
    start: { type: "boolean", default: false },
    waited: { type: "string", default: "0" },
  },
});
const options: Options = {
  ...values,
  nodeVersion: values["node-version"],
  port: values.port === undefined ? undefined : Number(values.port),
  isOffline: values.offline,
  isStarted: values.start,
  waitedS: Number(values.waited),
};
try {
  await (values.task === "keep" ? keep(options) : install(options));
} catch (thrown) {
  const failure = toFailure(thrown);
  process.stderr.write(`nika-install: ${failure.message}\n`);
  process.exitCode = failure.exitCode;
}
