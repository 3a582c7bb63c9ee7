/**
 * What a sandbox costs, under every runtime here that was attested: from asking for one to its first answer, a call there and back while
 * it is warm, pausing, and a request through the gate. `npm run bench -- sandbox [COLD] [CALLS]`. The runtimes take turns.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import type { Attestation, Sandbox, SandboxSpec } from "../../../functions/ports/sandboxes.ts";

const [cold = 15, calls = 1_000] = process.argv.slice(2).map(Number);
const requests = 100;
const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
const sandboxes = dockerSandboxes({ dataDir: dir, mountRoots: [] });
const never = new AbortController().signal;
const goals = { runc: { cold: 500, warm: 5 }, gvisor: undefined, kata: undefined } as const;

const echo = "process.stdin.on('data', (bytes) => process.stdout.write(bytes)); process.stdout.write('ready\\n')";

const specOf = (runtime: Attestation["runtime"], code: string, egress: readonly string[] = []): SandboxSpec => ({
  name: `nika-bench-${randomUUID()}`,
  language: "node",
  runtime,
  command: ["node", "--input-type=module", "-e", code],
  environment: {},
  mounts: [],
  egress,
  memoryBytes: 256 << 20,
  cpus: 2,
  processesMax: 64,
  tmpBytes: 16 << 20,
});

function figure(name: string, values: readonly number[], goal?: number): void {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 100) / 100;
  for (const [quantile, share] of [
    ["p50", 0.5],
    ["p95", 0.95],
  ] as const) {
    const value = at(share);
    const isGoal = goal !== undefined && quantile === "p50";
    console.log(
      JSON.stringify({
        name: `${name}, ${quantile}`,
        value,
        unit: "ms",
        peer: null,
        ratio: null,
        goal: isGoal ? `<= ${goal}` : null,
        met: isGoal ? value <= goal : null,
      }),
    );
  }
}

async function timed<T>(act: () => Promise<T>): Promise<[number, T]> {
  const start = performance.now();
  const result = await act();
  return [performance.now() - start, result];
}

async function started(runtime: Attestation["runtime"]): Promise<Sandbox> {
  const sandbox = await sandboxes.open(specOf(runtime, echo), never);
  await once(sandbox.output, "data");
  return sandbox;
}

async function answered(sandbox: Sandbox): Promise<void> {
  const answer = once(sandbox.output, "data");
  sandbox.input.write('{"jsonrpc":"2.0","id":1,"method":"tools/call"}\n');
  await answer;
}

/** Times of requests through the gate, each on a connection of its own, as the program inside measured them. */
async function throughGate(runtime: Attestation["runtime"], port: number): Promise<number[]> {
  const code = `
    const times = [];
    for (let n = 0; n < ${requests}; n++) {
      const start = performance.now();
      await (await fetch("http://127.0.0.1:${port}/", { headers: { connection: "close" } })).text();
      times.push(performance.now() - start);
    }
    console.log(JSON.stringify(times)); process.exit();`;
  const sandbox = await sandboxes.open(specOf(runtime, code, [`127.0.0.1:${port}`]), never);
  for await (const line of createInterface({ input: sandbox.output })) return JSON.parse(line) as number[];
  throw new Error("the sandbox ended without figures");
}

const server = createServer((_asked, response) => response.end("ok"));
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
try {
  const runtimes = (await sandboxes.attestations()).filter(({ isSufficient }) => isSufficient).map(({ runtime }) => runtime);
  const coldTimes = new Map(runtimes.map((runtime) => [runtime, [] as number[]]));
  for (let n = 0; n < cold + 2; n++)
    for (const runtime of runtimes) {
      const [ms, sandbox] = await timed(() => started(runtime));
      // The first two fill caches of the disk.
      if (n >= 2) coldTimes.get(runtime)?.push(ms);
      await sandbox.stop();
    }
  for (const runtime of runtimes) {
    figure(`cold start under ${runtime}: asked until first answer`, coldTimes.get(runtime) ?? [], goals[runtime]?.cold);
    const sandbox = await started(runtime);
    const warm: number[] = [];
    for (let n = 0; n < calls + 100; n++) {
      const [ms] = await timed(() => answered(sandbox));
      if (n >= 100) warm.push(ms);
    }
    figure(`warm call under ${runtime}: there and back`, warm, goals[runtime]?.warm);
    const woken: number[] = [];
    for (let n = 0; n < 10; n++) {
      await sandbox.pause();
      const [ms] = await timed(async () => {
        await sandbox.resume();
        await answered(sandbox);
      });
      woken.push(ms);
    }
    figure(`resume and call under ${runtime}`, woken);
    await sandbox.stop();
    figure(
      `CONNECT and GET through the gate under ${runtime}`,
      await throughGate(runtime, (server.address() as AddressInfo).port),
    );
  }
} finally {
  server.close();
  rmSync(dir, { recursive: true, force: true });
}
