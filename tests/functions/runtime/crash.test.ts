import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("crashing.ts", import.meta.url));
const documents = 60;
const kills = 6;

test("killed again and again, the appliance's heart ends with every document ready exactly once", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-crash-"));
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      // The documents are added again each time: what is known already stays one document.
      const child = fork(script, [dir, `${documents}`]);
      await told(child, "started");
      // Spread over the whole work, from the first claim to nearly the end. Nothing depends on where it hits.
      await delay(kill * 60);
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    const { names, jobs } = await told<{ names: string[]; jobs: string[] }>(fork(script, [dir, `${documents}`]), "names");
    const expected = Array.from({ length: documents }, (_, i) => `${i}.txt`);
    assert.deepEqual(names.toSorted(), expected.toSorted());
    assert.deepEqual(
      jobs,
      expected.map(() => "done"),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** The message that is, or has, `what`. */
function told<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    child.on("message", (message) => {
      if (message === what || (typeof message === "object" && what in message)) resolve(message as T);
    });
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said ${what}`)));
  });
}
