/**
 * A PocketBase of the run's own, built from the Go module proxy with its database set to sync every commit, as ours does (its own default
 * does not). Undefined when there is no Go on this machine or the build fails.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../../../lab/freePort.ts";
import { scratch } from "./engineHost.ts";

const run = promisify(execFile);
const version = "v0.36.6"; // Newer ones ask for a newer Go than Debian's backports carry.
const owner = { identity: "bench@example.com", password: "only-for-the-bench" };

const program = `package main

import (
	"log"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
)

func main() {
	app := pocketbase.NewWithConfig(pocketbase.Config{DBConnect: func(path string) (*dbx.DB, error) {
		return dbx.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(200000000)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-32000)")
	}})
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}
`;

export type PocketBase = {
  create(record: object): Promise<{ readonly id: string }>;
  get(id: string): Promise<unknown>;
  stop(): Promise<void>;
};

/** With one collection, "slots", that anybody may use: rules would cost it time. */
export async function startPocketBase(): Promise<PocketBase | undefined> {
  if (process.argv.includes("--no-peer")) return undefined;
  const dir = await scratch("pocketbase");
  const binary = join(dir, "pocketbase");
  try {
    await writeFile(join(dir, "main.go"), program);
    const go = async (...args: string[]): Promise<unknown> => run("go", args, { cwd: dir, timeout: 300_000 });
    await go("mod", "init", "bench");
    await go("get", `github.com/pocketbase/pocketbase@${version}`);
    await go("mod", "tidy");
    await go("build", "-o", binary, ".");
  } catch (error) {
    console.error(`PocketBase was not built: ${(error as Error).message.split("\n").at(0)}`);
    await rm(dir, { recursive: true, force: true });
    return undefined;
  }
  const data = ["--dir", join(dir, "data")];
  await run(binary, ["superuser", "upsert", owner.identity, owner.password, ...data]);
  const port = await freePort();
  const child = spawn(binary, ["serve", "--http", `127.0.0.1:${port}`, ...data], { stdio: "ignore" });
  const call = caller(port);
  await untilHealthy(child, call);
  const { token } = (await call("POST", "/api/collections/_superusers/auth-with-password", owner)) as { token: string };
  const fields = ["slot", "n"].map((name) => ({ name, type: "number" }));
  const collection = { name: "slots", type: "base", fields, listRule: "", viewRule: "", createRule: "" };
  await call("POST", "/api/collections", collection, token);
  const records = "/api/collections/slots/records";
  return {
    create: async (record) => (await call("POST", records, record)) as { id: string },
    get: (id) => call("GET", `${records}/${id}`),
    stop: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT");
      await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

type Call = (method: string, path: string, body?: object, token?: string) => Promise<unknown>;

/** JSON over kept-alive connections; fails on any status but 2xx. */
export function caller(port: number): Call {
  const agent = new Agent({ keepAlive: true });
  return (method, path, body, token) =>
    new Promise((resolve, reject) => {
      const text = body && JSON.stringify(body);
      const headers = {
        ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...(token !== undefined && { authorization: token }),
      };
      const sent = request({ agent, port, host: "127.0.0.1", method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const answer = Buffer.concat(chunks).toString();
          if ((response.statusCode ?? 500) >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`));
          else resolve(JSON.parse(answer));
        });
      });
      sent.on("error", reject);
      sent.end(text);
    });
}

async function untilHealthy(child: ChildProcess, call: Call): Promise<void> {
  for (let tries = 100; child.exitCode === null && tries > 0; tries--) {
    try {
      await call("GET", "/api/health");
      return;
    } catch {
      await pause(100);
    }
  }
  throw new Error("PocketBase did not start.");
}
