import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { admin, openTestCore, requestId } from "../openTestCore.ts";

const writer = fileURLToPath(new URL("writer.ts", import.meta.url));
const kills = 8;

test("after kill -9 at any moment, what was acknowledged is there, and once", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-core-"));
  const acknowledged = new Set<number>();
  for (let kill = 0; kill < kills; kill++) {
    // Those in flight at the kill are sent again under their old numbers; some of them were saved.
    const from = acknowledged.size === 0 ? 0 : Math.max(0, Math.max(...acknowledged) - 10);
    const child = spawn(process.execPath, [writer, dir, String(from)], { stdio: ["ignore", "pipe", "inherit"] });
    const enough = randomInt(1, 60);
    let heard = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.add(Number(line.split(" ")[1]));
      if (++heard === enough) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await using own = await openTestCore({ dir });
  const ranks = (await own.query<{ rank: number }[]>("notes:all")).map((one) => one.rank);
  assert.equal(new Set(ranks).size, ranks.length, "nothing is there twice");
  assert.deepEqual(
    [...acknowledged].filter((one) => !ranks.includes(one)),
    [],
    "nothing acknowledged is missing",
  );
  await own.core.close();
  rmSync(dir, { recursive: true, force: true });
});

test("when the disk is full, the mutation says so and nothing acknowledged is lost", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-core-"));
  await (await openTestCore({ dir })).core.close();
  // No file may grow beyond 4 MiB: the same to SQLite as a disk with no room.
  const child = spawn("bash", ["-c", `trap '' XFSZ; ulimit -f 4096; exec "$0" "$@"`, process.execPath, writer, dir, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  const refused = lines.find((line) => line.startsWith("refused"));
  assert.match(refused ?? "", /Nothing was changed|nothing was changed/);
  assert.ok(lines.includes("reads true"), "queries go on");

  await using own = await openTestCore({ dir });
  const ranks = new Set((await own.query<{ rank: number }[]>("notes:all")).map((one) => one.rank));
  const acknowledged = lines.filter((line) => line.startsWith("acknowledged")).map((line) => Number(line.split(" ")[1]));
  assert.ok(acknowledged.length > 0 && acknowledged.every((one) => ranks.has(one)));
  const { result } = await own.core.mutation({ path: "counters:add", args: `{"name":"after"}`, identity: admin, requestId });
  assert.ok(result.ok);
  await own.core.close();
  rmSync(dir, { recursive: true, force: true });
});
