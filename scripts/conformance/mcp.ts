/**
 * The protocol's own conformance suite. Of servers: against its reference server alone and then through the gateway in front of it; no scenario may be
 * worse through the gateway. Of clients (`--client`): every scenario against Nika's pool and accounts (mcpClient.ts), one after the other. Runner and
 * fixture are others' and are named, not carried: `--runner` is dist/index.js of @modelcontextprotocol/conformance 0.1.16, `--fixture` the server of the same
 * version that its repository has under examples/servers/typescript. What a later revision requires is asked with its alpha: `--requirements 2026-07-28`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openEdge } from "../../appliance/mcp/edge.ts";
import { openMcpPlace } from "../../tests/appliance/mcp/place.ts";
import { freePort } from "../lab/freePort.ts";

const { values } = parseArgs({
  options: {
    runner: { type: "string" },
    fixture: { type: "string" },
    suite: { type: "string", default: "active" },
    requirements: { type: "string" },
    client: { type: "boolean", default: false },
    only: { type: "string" },
  },
});
const { runner, fixture, suite, requirements } = values;
if (runner !== undefined && values.client) process.exit(await runClients(runner));
if (runner === undefined || fixture === undefined) {
  console.error(
    "Usage: node scripts/conformance/mcp.ts --runner FILE --fixture FILE [--suite active|all|pending | --requirements REVISION]\n" +
      "       node scripts/conformance/mcp.ts --runner FILE --client [--requirements REVISION] [--only WORD]",
  );
  process.exit(64);
}

const fixturePort = await freePort();
const server = spawn(process.execPath, [fixture], { env: { ...process.env, PORT: String(fixturePort) }, stdio: "ignore" });
const place = await openMcpPlace();
const edge = openEdge({ gateway: place.gateway, log: () => undefined, now: () => Date.now() });
// The appliance looks at these before it asks for a token, which the suite cannot show.
const isLocal = ({ headers: { host = "", origin } }: IncomingMessage): boolean =>
  [host, origin === undefined ? host : new URL(origin).host].every((one) =>
    /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/.test(one),
  );
const front = createServer((request, response) => {
  if (!isLocal(request)) return void response.writeHead(403).end();
  edge.answer(request, response, { principal: "suite", mode: "all" }).catch((error: unknown) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  });
});
try {
  await untilOpen(fixturePort);
  await place.configure({ fixture: { url: `http://127.0.0.1:${fixturePort}/mcp`, expose: { prefix: false } } });
  await place.trust("fixture");
  await new Promise<void>((done) => {
    front.listen(0, "127.0.0.1", done);
  });
  const alone = await run(`http://127.0.0.1:${fixturePort}/mcp`);
  const through = await run(`http://127.0.0.1:${(front.address() as AddressInfo).port}/mcp`);
  let worse = 0;
  for (const [name, one] of alone) {
    const two = through.get(name);
    const isWorse = two === undefined || two.failed > one.failed;
    if (isWorse) worse += 1;
    console.log(`${isWorse ? "WORSE" : "ok   "} ${name}: alone ${tell(one)}, through the gateway ${two ? tell(two) : "not run"}`);
  }
  const sum = (results: ReadonlyMap<string, Result>): string =>
    tell(
      [...results.values()].reduce((all, one) => ({ passed: all.passed + one.passed, failed: all.failed + one.failed }), {
        passed: 0,
        failed: 0,
      }),
    );
  console.log(`${alone.size} scenarios; alone ${sum(alone)}, through the gateway ${sum(through)}; ${worse} worse`);
  process.exitCode = worse === 0 && alone.size > 0 ? 0 : 1;
} finally {
  front.closeAllConnections();
  front.close();
  await edge.close();
  await place.close();
  server.kill();
}

/** Exit code 0 when every scenario passed whole. Those that only a revision has are run in it; extensions are told apart. */
async function runClients(file: string): Promise<number> {
  const listed = await textOf(spawn(process.execPath, [file, "list", "--client"], { stdio: ["ignore", "pipe", "inherit"] }));
  const wanted = [...listed.matchAll(/^\s+- (\S+) \[([^\]]*)\]/gm)].filter(
    ([, name = "", versions = ""]) =>
      (values.only === undefined || name.includes(values.only)) &&
      (requirements === undefined || versions.split(",").includes(requirements) || versions === "extension"),
  );
  const driver = join(import.meta.dirname, "mcpClient.ts");
  let [passed, failed, whole] = [0, 0, 0];
  for (const [, name = "", versions = ""] of wanted) {
    const isStated = requirements !== undefined && versions !== "extension";
    const args = [
      "client",
      "--command",
      `${process.execPath} ${driver}`,
      "--scenario",
      name,
      ...(isStated ? ["--spec-version", requirements] : []),
    ];
    const text = await textOf(spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "pipe"] }));
    const [, good = "0", bad = "?"] = /^Passed: (\d+)\/\d+, (\d+) failed/m.exec(text) ?? [];
    const isWhole = /OVERALL: PASSED/.test(text);
    passed += Number(good);
    failed += bad === "?" ? 1 : Number(bad);
    if (isWhole) whole += 1;
    console.log(
      `${isWhole ? "ok   " : "FAILS"} ${name}: ${good} passed, ${bad} failed${versions === "extension" ? " (extension)" : ""}`,
    );
  }
  console.log(`${whole} of ${wanted.length} client scenarios; ${passed} checks passed, ${failed} failed`);
  return whole === wanted.length && whole > 0 ? 0 : 1;
}

type Result = { readonly passed: number; readonly failed: number };

/** Checks that passed and failed, by scenario, as the suite's last lines have them. */
async function run(url: string): Promise<Map<string, Result>> {
  const child = spawn(
    process.execPath,
    [
      runner ?? "",
      "server",
      "--url",
      url,
      ...(requirements === undefined ? ["--suite", suite] : ["--requirements", requirements]),
    ],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const text = await textOf(child);
  const results = new Map<string, Result>();
  for (const [, name = "", passed, failed] of text.matchAll(/^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed/gm))
    results.set(name, { passed: Number(passed), failed: Number(failed) });
  if (results.size === 0) console.error(text.slice(-2_000));
  return results;
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  for await (const chunk of child.stdout ?? []) text += String(chunk);
  return text;
}

async function untilOpen(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket = connect(port, "127.0.0.1", () => done(true)).on("error", () => done(false));
      socket.unref();
    });
    if (isOpen) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("The fixture does not answer.");
}

function tell({ passed, failed }: Result): string {
  return `${passed}/${passed + failed}`;
}
