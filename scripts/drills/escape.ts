/**
 * The escape drill: everything that tests/appliance/docker/escape knows, under every runtime that this machine has and that was attested
 * to hold. `node scripts/drills/escape.ts [RUNTIME...]`. Ends with 1 when anything got out.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerSandboxes } from "../../appliance/docker/sandboxes.ts";
import { attemptAll } from "../../tests/appliance/docker/escape/escape.ts";

const wanted = process.argv.slice(2);
const root = mkdtempSync(join(tmpdir(), "nika-escape-"));
const mounts = join(root, "mounts");
mkdirSync(mounts);
const sandboxes = dockerSandboxes({ dataDir: join(root, "data"), mountRoots: [mounts] });
let peakBytes = 0;
const watch = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage().rss)), 50);
watch.unref();

try {
  for (const { runtime, isSufficient, probes } of await sandboxes.attestations()) {
    if (wanted.length > 0 && !wanted.includes(runtime)) continue;
    const broken = probes.filter(({ holds }) => !holds).map(({ name, detail }) => `${name}: ${detail}`);
    console.log(
      `${runtime}: ${isSufficient ? `attested, ${probes.length} probes hold` : `not attested (${broken.join("; ")}), so nothing is run in it`}`,
    );
    if (!isSufficient) continue;
    const startedAt = performance.now();
    const attempts = await attemptAll({ sandboxes, runtime, root: mounts, hasPython: existsSync("/usr/bin/python3") });
    const out = attempts.filter((one) => one.out !== undefined);
    for (const one of out) console.log(`${runtime}: OUT ${one.name}: ${one.out}`);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    console.log(
      `${runtime}: ${attempts.length} attempts in ${seconds} s, ${out.length} got out; this process at most ${peakBytes >> 20} MiB`,
    );
    if (out.length > 0 || attempts.length < 60) process.exitCode = 1;
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
