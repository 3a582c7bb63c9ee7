/**
 * What the gateway adds to a call: `echo` of the reference server, called straight and through a running Nika, by the same client in turns. Over a pipe
 * that is `nika mcp serve` in front of a stdio server, over HTTP it is /mcp in front of an HTTP server. `--calls N --rounds N`.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { freePort } from "../../lab/freePort.ts";

const { values } = parseArgs({ options: { calls: { type: "string" }, rounds: { type: "string" } }, strict: false });
const calls = Number(values.calls ?? 200);
const rounds = Number(values.rounds ?? 7);

const entry = join(import.meta.dirname, "../../../appliance/cli/nika.ts");
const server = join(import.meta.dirname, "../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js");
const dir = mkdtempSync(join(tmpdir(), "nika-bench-mcp-"));
const env = { ...process.env, NIKA_MCP_FILE: join(dir, "none.json") };
const nika = (...args: string[]): string =>
  execFileSync(process.execPath, [entry, "--data", dir, ...args], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

const port = await freePort();
const http = spawn(process.execPath, [server, "streamableHttp"], { env: { ...env, PORT: String(port) }, stdio: "ignore" });
try {
  const stdio = { command: process.execPath, args: [server, "stdio"] };
  writeFileSync(join(dir, "mcp-servers.json"), JSON.stringify({ piped: stdio, remote: { url: `http://127.0.0.1:${port}/mcp` } }));
  nika("up", "--port", "0", "--no-link");
  nika("mcp", "reload");
  const shown = (name: string): Record<string, string> =>
    JSON.parse(nika("mcp", "show", name, "--json")) as Record<string, string>;
  nika("mcp", "allow", "piped", "--digest", shown("piped")["targetSha256"] ?? "");
  for (const name of ["piped", "remote"]) nika("mcp", "test", name);
  for (const name of ["piped", "remote"]) nika("mcp", "approve", name, "--digest", shown(name)["digest"] ?? "");
  const { token } = JSON.parse(nika("mcp", "token", "bench", "--json")) as { token: string };
  const { url } = JSON.parse(readFileSync(join(dir, "run.json"), "utf8")) as { url: string };

  await compare("pipe", 0.8, [
    ["echo", await open(new StdioClientTransport({ ...stdio, stderr: "ignore" }))],
    [
      "mcp_piped__echo",
      await open(
        new StdioClientTransport({ command: process.execPath, args: [entry, "--data", dir, "mcp", "serve"], stderr: "ignore" }),
      ),
    ],
  ]);
  const authorization = { requestInit: { headers: { authorization: `Bearer ${token}` } } };
  await compare("HTTP", 1.5, [
    ["echo", await open(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`)))],
    ["mcp_remote__echo", await open(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), authorization))],
  ]);
} finally {
  http.kill();
  nika("stop");
  rmSync(dir, { recursive: true, force: true });
}

async function open(transport: Parameters<Client["connect"]>[0]): Promise<Client> {
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  return client;
}

async function compare(
  way: string,
  goal: number,
  sides: readonly [readonly [string, Client], readonly [string, Client]],
): Promise<void> {
  const took: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round++)
    for (const at of [0, 1] as const) {
      const [name, client] = sides[at];
      for (let call = 0; call < calls; call++) {
        const startedAt = performance.now();
        await client.callTool({ name, arguments: { message: "hello" } });
        // The first round warms up.
        if (round > 0) took[at].push(performance.now() - startedAt);
      }
    }
  const [direct, through] = took.map((times) => times.toSorted((left, right) => left - right)) as [number[], number[]];
  const quantile = (times: number[], share: number): number => times[Math.floor(times.length * share)] ?? 0;
  for (const [label, share] of [
    ["p50", 0.5],
    ["p95", 0.95],
  ] as const) {
    const [one, two] = [quantile(direct, share), quantile(through, share)];
    const added = round2(two - one);
    const hasGoal = label === "p50";
    print({
      name: `call over ${way}, ${label}, through the gateway`,
      value: round2(two),
      unit: "ms",
      peer: round2(one),
      ratio: round2(two / one),
    });
    print({
      name: `added over ${way}, ${label}`,
      value: added,
      unit: "ms",
      ...(hasGoal && { goal: `<= ${goal} ms`, met: added <= goal }),
    });
  }
  console.log(`load ${loadavg()[0]?.toFixed(1)}`);
  for (const [, client] of sides) await client.close();
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
function print(figure: object): void {
  console.log(JSON.stringify(figure));
}
