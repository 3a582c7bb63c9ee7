/**
 * A Postgres of the run's own behind a small WebSocket server, as an application would put it: one transaction a message, in a stored
 * procedure, durable before the answer. Undefined when Debian's postgresql is not on this machine or its npm client cannot be had.
 */
import { execFile, fork, spawn } from "node:child_process";
import { chown, rm } from "node:fs/promises";
import { globSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../../../lab/freePort.ts";
import { scratch, told } from "./engineHost.ts";

const run = promisify(execFile);

export type Postgres = { readonly url: string; stop(): Promise<void> };

export async function startPostgres(accounts: number): Promise<Postgres | undefined> {
  const bin = globSync("/usr/lib/postgresql/*/bin").toSorted().at(-1);
  if (bin === undefined || process.argv.includes("--no-peer")) return undefined;
  const clientDir = await scratch("pg-client");
  try {
    await run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", clientDir, "pg@8"], { timeout: 60_000 });
  } catch {
    await rm(clientDir, { recursive: true, force: true });
    return undefined;
  }
  const dir = await scratch("pg");
  // Postgres refuses to run as root; its package made a user for it.
  const who = process.getuid?.() === 0 ? await userNumbers("postgres") : undefined;
  if (who) await chown(dir, who.uid, who.gid);
  await run(join(bin, "initdb"), ["-D", join(dir, "data"), "-U", "bench", "-A", "trust"], { ...who, cwd: dir });
  const port = await freePort();
  const args = ["-D", join(dir, "data"), "-p", String(port)];
  for (const one of ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=80"]) args.push("-c", one);
  const server = spawn(join(bin, "postgres"), args, { ...who, cwd: dir, stdio: "ignore" });
  const gate = fork(join(import.meta.dirname, "postgresGate.ts"), [clientDir, String(port), String(accounts)], {
    execArgv: [],
  });
  const { url } = (await told(gate)) as { url: string };
  return {
    url,
    stop: async () => {
      gate.kill();
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      await gone;
      for (const one of [dir, clientDir]) await rm(one, { recursive: true, force: true });
    },
  };
}

async function userNumbers(name: string): Promise<{ uid: number; gid: number }> {
  const { stdout } = await run("id", ["-u", name]);
  const { stdout: group } = await run("id", ["-g", name]);
  return { uid: Number(stdout), gid: Number(group) };
}
