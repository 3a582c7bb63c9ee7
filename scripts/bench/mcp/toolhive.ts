/**
 * The same server behind Nika and behind ToolHive, each in a container of the same image, called over HTTP by the same client in turns: what each adds to
 * the call that goes straight, and how long it takes from asking for it to its first answer. ToolHive is built from the Go module proxy, which takes ten
 * minutes the first time; without Go or a container engine nothing is measured, and it says so.
 *
 *     node scripts/bench/mcp/toolhive.ts [--calls N] [--rounds N] [--starts N] [--thv PATH]
 */
import { execFileSync, spawnSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, loadavg, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { freePort } from "../../lab/freePort.ts";

const version = "0.47.0";
const callGoal = 0.5;

const { values } = parseArgs({
  options: { calls: { type: "string" }, rounds: { type: "string" }, starts: { type: "string" }, thv: { type: "string" } },
  strict: false,
});
const [calls, rounds, starts] = [Number(values.calls ?? 100), Number(values.rounds ?? 5), Number(values.starts ?? 5)];
const entry = join(import.meta.dirname, "../../../appliance/cli/nika.ts");
const modules = join(import.meta.dirname, "../../../node_modules");
const program = "@modelcontextprotocol/server-everything/dist/index.js";
const image = "nika-bench-everything";
const dir = mkdtempSync(join(tmpdir(), "nika-bench-thv-"));
const env = {
  ...process.env,
  PATH: [process.env["PATH"], "/usr/local/go/bin"].join(delimiter),
  NIKA_MCP_FILE: join(dir, "none.json"),
};
const quiet: ExecFileSyncOptionsWithStringEncoding = { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env };
const nika = (...args: string[]): string => execFileSync(process.execPath, [entry, "--data", dir, ...args], quiet);
const print = (figure: object): void => console.log(JSON.stringify(figure));
const round2 = (value: number): number => Math.round(value * 100) / 100;
const median = (times: number[]): number => times.toSorted((left, right) => left - right)[Math.floor(times.length / 2)] ?? 0;

if (spawnSync("docker", ["info"], { stdio: "ignore" }).status !== 0) skip("no container engine answers here");
const thv = typeof values.thv === "string" ? values.thv : build();
const own = { ...env, HOME: join(dir, "home"), TOOLHIVE_SKIP_UPDATE_CHECK: "true" };
const hive = (...args: string[]): void => void execFileSync(thv, args, { env: own, stdio: "ignore", timeout: 60_000 });

try {
  mkdirSync(own.HOME, { recursive: true });
  writeFileSync(
    join(dir, "mcp-servers.json"),
    JSON.stringify({ piped: { command: "node", args: [join(modules, program), "stdio"], sandbox: { runtime: "runc" } } }),
  );
  nika("up", "--port", "0", "--no-link");
  nika("mcp", "reload");
  nika("mcp", "test", "piped");
  const { digest } = JSON.parse(nika("mcp", "show", "piped", "--json")) as { digest: string };
  nika("mcp", "approve", "piped", "--digest", digest);
  const { token } = JSON.parse(nika("mcp", "token", "bench", "--json")) as { token: string };
  const { url } = JSON.parse(readFileSync(join(dir, "run.json"), "utf8")) as { url: string };
  makeImage();
  const port = await freePort();
  const run = (): void =>
    hive(
      ..."run --name nika-bench --transport stdio --proxy-mode streamable-http --isolate-network=false".split(" "),
      ..."--image-verification disabled --proxy-port".split(" "),
      String(port),
      "--volume",
      `${modules}:/m/node_modules:ro`,
      image,
      "--",
      `/m/node_modules/${program}`,
      "stdio",
    );
  const sides = {
    straight: {
      open: () =>
        new StdioClientTransport({ command: process.execPath, args: [join(modules, program), "stdio"], stderr: "ignore" }),
      tool: "echo",
    },
    nika: {
      open: () =>
        new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
          requestInit: { headers: { authorization: `Bearer ${token}` } },
        }),
      tool: "mcp_piped__echo",
    },
    toolhive: { open: () => new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`)), tool: "echo" },
  };
  type Side = keyof typeof sides;
  const open = async (side: Side): Promise<Client> => {
    const client = new Client({ name: "bench", version: "1" });
    await client.connect(sides[side].open());
    return client;
  };
  const call = (side: Side, client: Client): Promise<unknown> =>
    client.callTool({ name: sides[side].tool, arguments: { message: "hello" } });

  // From asking for it to its first answer; a client that asks too early asks again.
  const begun: Record<"nika" | "toolhive", number[]> = { nika: [], toolhive: [] };
  for (let at = 0; at < starts; at++)
    for (const side of ["nika", "toolhive"] as const) {
      const waiting = side === "nika" ? await open(side) : undefined;
      if (side === "nika") nika("mcp", "restart", "piped");
      else spawnSync(thv, ["rm", "nika-bench"], { env: own, stdio: "ignore" });
      const startedAt = performance.now();
      if (side === "toolhive") run();
      for (;;) {
        const client = waiting ?? (await open(side).catch(() => undefined));
        const isAnswered =
          client &&
          (await call(side, client).then(
            () => true,
            () => false,
          ));
        if (isAnswered === true) begun[side].push(performance.now() - startedAt);
        await client?.close().catch(() => undefined);
        if (isAnswered === true) break;
        if (waiting) throw new Error("the server behind Nika did not answer");
      }
    }
  const [ourStart, theirStart] = [median(begun.nika), median(begun.toolhive)];
  print({
    name: "asked until first answer, in a container",
    value: Math.round(ourStart),
    unit: "ms",
    peer: Math.round(theirStart),
    ratio: round2(ourStart / theirStart),
    goal: `<= ${callGoal} of ToolHive ${version}`,
    met: ourStart <= callGoal * theirStart,
  });

  const took: Record<Side, number[]> = { straight: [], nika: [], toolhive: [] };
  const clients = { straight: await open("straight"), nika: await open("nika"), toolhive: await open("toolhive") };
  for (let round = 0; round <= rounds; round++)
    for (const side of ["straight", "nika", "toolhive"] as const)
      for (let at = 0; at < calls; at++) {
        const startedAt = performance.now();
        await call(side, clients[side]);
        // The first round warms up.
        if (round > 0) took[side].push(performance.now() - startedAt);
      }
  const straight = median(took.straight);
  const [ours, theirs] = [median(took.nika) - straight, median(took.toolhive) - straight];
  print({
    name: "added to a call of a server in a container, over HTTP, p50",
    value: round2(ours),
    unit: "ms",
    straight: round2(straight),
    peer: round2(theirs),
    ratio: round2(ours / theirs),
    goal: `<= ${callGoal} of ToolHive ${version}`,
    met: ours <= callGoal * theirs,
  });
  console.log(`load ${loadavg()[0]?.toFixed(1)}`);
  for (const client of Object.values(clients)) await client.close().catch(() => undefined);
} finally {
  spawnSync(thv, ["rm", "nika-bench"], { env: own, stdio: "ignore" });
  spawnSync(process.execPath, [entry, "--data", dir, "stop"], { env, stdio: "ignore" });
  spawnSync("docker", ["image", "rm", "--force", image], { stdio: "ignore" });
  rmSync(dir, { recursive: true, force: true });
}

function skip(why: string): never {
  console.log(`skipped: ToolHive ${version} is not measured, because ${why}.`);
  process.exit(0);
}

/** Kept beside other caches: it takes minutes, and is the same each time. */
function build(): string {
  const cache = join(homedir(), ".cache", "nika-bench");
  const file = join(cache, `thv-${version}`);
  if (existsSync(file)) return file;
  if (spawnSync("go", ["version"], { env, stdio: "ignore" }).status !== 0) skip("there is no Go here to build it with");
  mkdirSync(cache, { recursive: true });
  const place = join(dir, "go");
  mkdirSync(place);
  writeFileSync(join(place, "go.mod"), `module bench\n\ngo 1.26\n\nrequire github.com/stacklok/toolhive v${version}\n`);
  const flags = { ...env, GOFLAGS: "-mod=mod -buildvcs=false" };
  console.log(`building ToolHive ${version} …`);
  const { status, stderr } = spawnSync("go", ["build", "-o", file, "github.com/stacklok/toolhive/cmd/thv"], {
    cwd: place,
    env: flags,
    encoding: "utf8",
  });
  if (status !== 0) skip(`it could not be built: ${stderr.trim().split("\n").at(-1) ?? ""}`);
  return file;
}

/** Nika's own image of this machine's Node, with a way to start it. */
function makeImage(): void {
  const [base = ""] = execFileSync(
    "docker",
    ["images", "--format", "{{.Repository}}:{{.Tag}}", "nika-sandbox-node"],
    quiet,
  ).split("\n");
  const context = join(dir, "image");
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, "Dockerfile"), `FROM ${base}\nENTRYPOINT ["/usr/local/bin/node"]\n`);
  execFileSync("docker", ["build", "-q", "-t", image, context], { stdio: "ignore" });
}
