/** A real package from the registry this machine's npm knows, in a real sandbox. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { seenOf } from "../../../../convex/model/serverView.ts";
import { factsIn } from "../place.ts";
import { dockerSandboxes } from "../../../../appliance/docker/sandboxes.ts";
import { missingEngine } from "../../docker/engine.ts";
import { openDiscoverPlace } from "./place.ts";

const name = "@modelcontextprotocol/server-sequential-thinking";

/** Why the package cannot be had here; undefined when it can. */
function missingRegistry(): string | undefined {
  const { status } = spawnSync("npm", ["view", name, "version", "--fetch-retries=0", "--fetch-timeout=15000"], {
    stdio: "ignore",
    timeout: 40_000,
  });
  return status === 0 ? undefined : "npm's registry cannot be reached from here";
}

const skip = missingEngine() ?? missingRegistry() ?? false;
const dir = mkdtempSync(join(tmpdir(), "nika-real-"));
after(() => rmSync(dir, { recursive: true, force: true }));

test(
  "a reference server is fetched with all it needs, verified, and answers from a sandbox without network",
  { skip },
  async () => {
    const sandboxes = dockerSandboxes({ dataDir: dir, mountRoots: [] }).within(["/"]);
    const place = openDiscoverPlace({ variables: process.env, sandboxes });
    try {
      const result = await place.install(`npm:${name}`);
      assert.deepEqual([result.alias, result.tools, result.waiting], ["sequential-thinking", 1, 1]);
      assert.deepEqual(
        result.notes.filter((note) => /could not/.test(note)),
        [],
      );
      const alias = "sequential-thinking";
      place.pool.approve(alias, seenOf(factsIn(place.pool, alias)));
      const signal = new AbortController().signal;
      const thought = { thought: "It holds.", thoughtNumber: 1, totalThoughts: 1, nextThoughtNeeded: false };
      const said = await place.pool.use(alias, undefined, signal, (peer) =>
        peer.request(
          "tools/call",
          { name: "sequentialthinking", arguments: thought },
          { timeoutMs: 30_000, timeoutMsMax: 30_000, signal },
        ),
      );
      assert.match(JSON.stringify(said), /thoughtNumber/);
    } finally {
      await place.close();
    }
  },
);
