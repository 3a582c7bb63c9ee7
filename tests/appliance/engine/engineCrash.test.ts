import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { collector } from "./served.ts";

const bump = makeFunctionReference<"mutation", { name: string }, number>("notes:bump");
const count = makeFunctionReference<"query", { name: string }, number>("notes:count");
const serving = fileURLToPath(new URL("./serving.ts", import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function started(dir: string, port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [serving, dir, String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

test("mutations on their way when the process is killed happen once, however often it is killed", async () => {
  const dir = await mkdtemp(join(tmpdir(), "engine-"));
  const port = await freePort();
  let child = await started(dir, port);
  const client = new ConvexClient(`http://127.0.0.1:${port}`, { logger: false });
  const seen = collector<number>();
  client.onUpdate(count, { name: "n" }, seen.push);
  await seen.until((value) => value === 0);

  const answers: Promise<number>[] = [];
  for (let kill = 1; kill <= 2; kill++) {
    for (let i = 0; i < 40; i++) answers.push(client.mutation(bump, { name: "n" }));
    // In the middle of them: some are durable, some are on their way, some are not begun.
    const half = answers.length - 40 + kill * 13;
    await answers[half];
    await killed(child);
    child = await started(dir, port);
  }

  assert.deepEqual(
    await Promise.all(answers),
    Array.from({ length: 80 }, (_, i) => i + 1),
  );
  await seen.until((value) => value === 80);
  // What a client saw is never taken back.
  assert.deepEqual(
    seen.seen,
    seen.seen.toSorted((a, b) => a - b),
  );
  await client.close();
  await killed(child);
  await rm(dir, { recursive: true, force: true });
});
