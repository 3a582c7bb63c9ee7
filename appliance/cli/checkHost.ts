/** The doctor's checks of the machine; the appliance need not run for these. */
import { access, constants, mkdir, readdir, stat, statfs, unlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { systemCode } from "../folder/systemCode.ts";
import { findRun } from "./running.ts";
import { sizeOf } from "./text.ts";

export type Check = {
  readonly name: string;
  /** `warn`: works, but not as well as it could or not for long. */
  readonly level: "ok" | "warn" | "fail";
  readonly text: string;
  readonly advice?: string;
};

/** The first Node that runs all of Nika's syntax and has node:sqlite settled. */
export const nodeMajorMin = 24;
/** Below the first the databases may stop writing soon; below the second they will. */
const freeWarnBytes = 2_000_000_000;
const freeFailBytes = 200_000_000;
/** What the appliance takes without a neural embedder, with room for one large document. */
const memoryWarnBytes = 400_000_000;
/** File system magic numbers from statfs(2): SQLite's locks and shared memory are not safe over a network. */
const networkFileSystems = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
]);

export function nodeCheck(): Check {
  const isNew = Number(process.versions.node.split(".")[0]) >= nodeMajorMin;
  const text = `${process.version} on ${process.platform} ${process.arch}`;
  if (isNew) return { name: "Node", level: "ok", text };
  return {
    name: "Node",
    level: "fail",
    text,
    advice: `Install Node ${nodeMajorMin} or newer, or run nika-install.sh, which brings one.`,
  };
}

export async function dataCheck(dataDir: string): Promise<Check> {
  const name = "Data";
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const probe = join(dataDir, `.doctor-${process.pid}`);
    await writeFile(probe, "");
    await unlink(probe);
  } catch (error) {
    const isFull = systemCode(error) === "ENOSPC";
    return {
      name,
      level: "fail",
      text: `${dataDir} ${isFull ? "is on a full disk" : "cannot be written"}`,
      advice: isFull ? "Free some space." : "Mend its permissions, or choose another folder with --data.",
    };
  }
  const { bavail, bsize, type } = await statfs(dataDir);
  const freeBytes = bavail * bsize;
  const network = networkFileSystems.get(type);
  const text = `${dataDir}, ${sizeOf(freeBytes)} free`;
  if (freeBytes < freeFailBytes)
    return { name, level: "fail", text, advice: "Free some space: Nika stops taking work when the disk is full." };
  if (network)
    return {
      name,
      level: "warn",
      text: `${text}, on ${network}`,
      advice: "Move it to a local disk: databases are not safe on a network one.",
    };
  if (freeBytes < freeWarnBytes) return { name, level: "warn", text, advice: "Free some space soon." };
  return { name, level: "ok", text };
}

/** A clock that runs behind what was already written makes tokens and retries misbehave. */
export async function clockCheck(dataDir: string): Promise<Check> {
  const name = "Clock";
  const nowMs = Date.now();
  const newestMs = Math.max(0, ...(await modifiedTimes(join(dataDir, "engine"))), ...(await modifiedTimes(dataDir)));
  const text = new Date(nowMs).toISOString();
  if (newestMs <= nowMs + 60_000) return { name, level: "ok", text };
  return {
    name,
    level: "fail",
    text: `${text}, earlier than Nika's newest file`,
    advice: "Set the clock; switch on time synchronisation.",
  };
}

async function modifiedTimes(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch(() => []);
  return Promise.all(
    names.map((name) =>
      stat(join(dir, name)).then(
        (info) => info.mtimeMs,
        () => 0,
      ),
    ),
  );
}

export async function memoryCheck(): Promise<Check> {
  const { mem } = await import("systeminformation");
  const { available, total } = await mem();
  const text = `${sizeOf(available)} available of ${sizeOf(total)}`;
  if (available >= memoryWarnBytes) return { name: "Memory", level: "ok", text };
  return { name: "Memory", level: "warn", text, advice: "Close something, or add swap: reading large documents may fail." };
}

/** While Nika runs the port is its own; otherwise it must be free. */
export async function portCheck({ dataDir, host, port }: Pick<Config, "dataDir" | "host" | "port">): Promise<Check> {
  const run = findRun(dataDir);
  if (run) return { name: "Port", level: "ok", text: `${run.port}, used by Nika (pid ${run.pid})` };
  const problem = await whyNotListen(host, port);
  if (problem === undefined) return { name: "Port", level: "ok", text: `${port} is free` };
  const isTaken = problem === "EADDRINUSE";
  return {
    name: "Port",
    level: "fail",
    text: `${port} ${isTaken ? "is taken by another program" : `cannot be used (${problem})`}`,
    advice: "Choose another with --port or NIKA_PORT.",
  };
}

function whyNotListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve(systemCode(error) ?? "unknown"));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const dockerSocket = "/var/run/docker.sock";

/** Docker is optional: without it tools run with less isolation and the real parts cannot be started here. */
export async function dockerCheck(): Promise<Check> {
  const name = "Docker";
  try {
    await access(dockerSocket, constants.F_OK);
  } catch {
    return { name, level: "ok", text: "not here; Nika does not need it" };
  }
  try {
    const version = await dockerVersion();
    return { name, level: "ok", text: `answers, API ${version}` };
  } catch (error) {
    const isDenied = systemCode(error) === "EACCES";
    return {
      name,
      level: "warn",
      text: isDenied ? "is here, but this user may not use it" : "is here, but does not answer",
      advice: isDenied ? "Add this user to the docker group if Nika is to use it." : "Start it if Nika is to use it.",
    };
  }
}

function dockerVersion(): Promise<string> {
  return new Promise((resolve, reject) => {
    const ping = request({ socketPath: dockerSocket, path: "/_ping", timeout: 3_000 }, (response) => {
      response.resume();
      resolve(String(response.headers["api-version"] ?? "unknown"));
    });
    ping.once("timeout", () => ping.destroy(new NikaError("timeout", "Docker does not answer.")));
    ping.once("error", reject);
    ping.end();
  });
}
