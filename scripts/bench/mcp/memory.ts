/** What a pool takes in its own process with 200 servers declared, all of their tools known and approved, and 10 of them running. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFlags } from "../../../appliance/nodeFlags.ts";
import { spawnSync } from "node:child_process";

const declared = 200;
const running = 10;
const goalMb = 150;

const [part, given] = process.argv.slice(2);
const dir = given ?? mkdtempSync(join(tmpdir(), "nika-bench-mcp-"));
const rssMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1024 / 1024;
};
try {
  if (part === "seed") await seed();
  else if (part === "measure") await measure();
  else {
    const again = (flags: readonly string[], name: string): void =>
      void spawnSync(process.execPath, [...flags, import.meta.filename, name, dir], { stdio: "inherit" });
    again([], "seed");
    // As the appliance is started.
    again(["--expose-gc", ...nodeFlags], "measure");
  }
} finally {
  if (given === undefined) rmSync(dir, { recursive: true, force: true });
}

/** One server is listed and approved; the others are as if they had been, since they are declared alike. */
async function seed(): Promise<void> {
  const { openMcpPlace, everything } = await import("../../../tests/appliance/mcp/place.ts");
  const first = await openMcpPlace({ dir });
  await first.configure({ s0: everything });
  await first.trust("s0");
  await first.close();
  for (const file of ["catalog.json", "lock.json"]) {
    const path = join(dir, "mcp", file);
    const { s0 } = JSON.parse(readFileSync(path, "utf8")) as { s0: object };
    writeFileSync(path, JSON.stringify(Object.fromEntries(names().map((name) => [name, s0]))));
  }
}

async function measure(): Promise<void> {
  const beforeMb = rssMb();
  const { openMcpPlace, everything } = await import("../../../tests/appliance/mcp/place.ts");
  const place = await openMcpPlace({ dir, pool: { memoryBytesMax: 100 * 1024 ** 3 } });
  const startedAt = performance.now();
  await place.configure(Object.fromEntries(names().map((name) => [name, everything])));
  const readMs = performance.now() - startedAt;
  for (const name of names().slice(0, running))
    await place.gateway.call(
      `mcp_${name}__echo`,
      { message: "x" },
      { principal: "bench", isApproved: true, signal: new AbortController().signal },
    );
  const peers = place.pool.standings().reduce((sum, one) => sum + one.peers, 0);
  const tools = place.pool.routes().tools.size;
  const totalMb = rssMb();
  await place.close();
  const facts = `${declared} servers, ${tools} tools, ${peers} running`;
  print({
    name: `memory of the pool's process (${facts})`,
    value: Math.round(totalMb),
    unit: "MB",
  });
  const poolMb = Math.round(totalMb - beforeMb);
  print({
    name: "memory of the pool, which is what it takes beyond a bare Node",
    value: poolMb,
    unit: "MB",
    goal: `<= ${goalMb} MB`,
    met: poolMb <= goalMb,
  });
  print({ name: `reading ${declared} servers that are known`, value: Math.round(readMs), unit: "ms" });
  console.log(`load ${loadavg()[0]?.toFixed(1)}`);
}

function names(): string[] {
  return Array.from({ length: declared }, (_, at) => `s${at}`);
}
function print(figure: object): void {
  console.log(JSON.stringify(figure));
}
