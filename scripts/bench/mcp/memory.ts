/** What a pool takes in its own process with 200 servers declared, all of their tools known and approved, and 10 of them running. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";

const declared = 200;
const running = 10;
const goalMb = 150;

const dir = mkdtempSync(join(tmpdir(), "nika-bench-mcp-"));
const rssMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1024 / 1024;
};
try {
  // One server is listed and approved, in a process of its own; the others are as if they had been, since they are declared alike.
  if (process.argv[2] === "seed") {
    const { openMcpPlace, everything } = await import("../../../tests/appliance/mcp/place.ts");
    const first = await openMcpPlace({ dir: process.argv[3] ?? "" });
    await first.configure({ s0: everything });
    await first.trust("s0");
    await first.close();
    process.exit();
  }
  spawnSync(process.execPath, [import.meta.filename, "seed", dir], { stdio: "inherit" });
  for (const file of ["catalog.json", "lock.json"]) {
    const path = join(dir, "mcp", file);
    const { s0 } = JSON.parse(readFileSync(path, "utf8")) as { s0: object };
    writeFileSync(path, JSON.stringify(Object.fromEntries(names().map((name) => [name, s0]))));
  }
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
    goal: `<= ${goalMb} MB`,
    met: totalMb <= goalMb,
  });
  print({ name: "of it, beyond a bare Node", value: Math.round(totalMb - beforeMb), unit: "MB" });
  print({ name: `reading ${declared} servers that are known`, value: Math.round(readMs), unit: "ms" });
  console.log(`load ${loadavg()[0]?.toFixed(1)}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function names(): string[] {
  return Array.from({ length: declared }, (_, at) => `s${at}`);
}
function print(figure: object): void {
  console.log(JSON.stringify(figure));
}
