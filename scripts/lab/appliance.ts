/**
 * The whole appliance as a child process on throw-away data, for benches, crash drills and end-to-end tests: the same program a person
 * starts, reached by the same clients.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConvexClient } from "convex/browser";
import { nodeEnvironment, nodeFlags } from "../../appliance/nodeFlags.ts";
import type { Answer } from "../../convex/model/answer.ts";

const mainFile = fileURLToPath(new URL("../../appliance/main.ts", import.meta.url));

export type LabAppliance = {
  readonly url: string;
  readonly pid: number;
  /** From spawn to ready, ms. */
  readonly startMs: number;
  /** A live client with the owner's authority. */
  client(): Promise<ConvexClient>;
  ask(question: string, limit?: number): Promise<Answer>;
  token(): Promise<string>;
  /** Memory of the process and its children, MiB: proportional set size, so that pages they share count once. */
  memoryMiB(): number;
  /** SIGKILL, as a power cut would; resolves when the process is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

export type LabOptions = {
  readonly dataDir: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly port?: number;
};

export async function startLab({ dataDir, environment = {}, port = 0 }: LabOptions): Promise<LabAppliance> {
  const begun = performance.now();
  const child = spawn(process.execPath, [...nodeFlags, mainFile, "--data", dataDir, "--port", String(port)], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, ...nodeEnvironment, NODE_COMPILE_CACHE: join(dataDir, "..", "compile-cache"), ...environment },
  });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const { url } = await ready(child, () => said);
  const startMs = performance.now() - begun;
  const adminKey = readFileSync(join(dataDir, "keys/admin.key"), "utf8").trim();
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  const clients: ConvexClient[] = [];
  const token = async (): Promise<string> => {
    const response = await fetch(`${url}/nika/token`, { method: "POST", headers: { authorization: `Convex ${adminKey}` } });
    return ((await response.json()) as { token: string }).token;
  };
  let cached: string | undefined;
  const end = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()));
    await gone;
  };
  return {
    url,
    pid: child.pid ?? 0,
    startMs,
    token,
    async client() {
      const client = new ConvexClient(url, { unsavedChangesWarning: false, logger: false });
      clients.push(client);
      client.setAuth(token);
      return client;
    },
    async ask(question, limit = 5) {
      cached ??= await token();
      const response = await fetch(`${url}/nika/ask`, {
        method: "POST",
        headers: { authorization: `Bearer ${cached}` },
        body: JSON.stringify({ question, limit }),
      });
      if (!response.ok) throw new Error(`ask: ${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    },
    memoryMiB: () => memoryOf(child.pid ?? 0),
    kill() {
      child.kill("SIGKILL");
      return end();
    },
    stop() {
      child.kill("SIGTERM");
      return end();
    },
  };
}

function ready(child: ChildProcess, said: () => string): Promise<{ url: string }> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the appliance ended with ${code} before it was ready\n${said()}`)));
    child.once("message", (message: { type: string; url: string; message?: string }) => {
      if (message.type === "ready") resolve(message);
      else reject(new Error(`the appliance did not start: ${message.message}\n${said()}`));
    });
  });
}

/** Pss of a process and all below it, from /proc. */
function memoryOf(pid: number): number {
  const parents = new Map<number, number>();
  const sizes = new Map<number, () => number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
      sizes.set(Number(name), () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/smaps_rollup`, "utf8"))?.[1] ?? 0));
    } catch {
      // It ended while we looked.
    }
  }
  const isBelow = (one: number): boolean =>
    one === pid || (parents.has(one) && parents.get(one) !== 0 && isBelow(parents.get(one)!));
  let kib = 0;
  for (const [one, size] of sizes) {
    try {
      if (isBelow(one)) kib += size();
    } catch {
      // It ended while we looked.
    }
  }
  return kib / 1024;
}
