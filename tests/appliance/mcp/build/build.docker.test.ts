import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dockerSandboxes } from "../../../../appliance/docker/sandboxes.ts";
import { build, planFor } from "../../../../appliance/mcp/build/build.ts";
import { toHanded } from "../../../../appliance/mcp/build/source.ts";
import { openMock } from "../../../../appliance/mcp/build/template/tests/mock.ts";
import { missingEngine } from "../../docker/engine.ts";
import { openMcpPlace } from "../place.ts";
import { kennel } from "./documents.ts";

test(
  "a made server is tried in a sandbox, runs in one, and reaches its service and nothing else",
  { skip: missingEngine() ?? false },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "nika-build-docker-"));
    const sandboxes = dockerSandboxes({ dataDir: dir, mountRoots: ["/"] });
    const mock = await openMock("/v2");
    const place = await openMcpPlace({
      dir,
      launch: { sandboxes, secret: (name) => Promise.resolve(name === "dogs.key" ? "the key" : undefined) },
    });
    try {
      const signal = new AbortController().signal;
      const plan = await planFor(toHanded(kennel, "test"), { name: "dogs", server: mock.url });
      const built = await build(plan, {
        dataDir: dir,
        sharedFile: "",
        withSkill: false,
        isReplacing: false,
        sandboxes,
        step: () => undefined,
        signal,
      });
      assert.equal(built.trial.said, "");
      assert.equal(built.trial.way, "sandbox");
      await place.reload();
      await place.pool.refresh("dogs", signal);
      place.approve("dogs");
      const call = (): ReturnType<typeof place.gateway.call> =>
        place.gateway.call("mcp_dogs__list_dogs", { limit: 2 }, { principal: "owner", isApproved: true, signal });
      mock.play({ status: 200, mediaType: "application/json", body: [] });
      assert.deepEqual((await call()).content, [{ type: "text", text: "[]" }]);
      assert.equal(mock.seen()[0]?.headers["x-kennel-key"], "the key");
      // Through the only way out there is: elsewhere on the very machine is refused.
      const other = await openMock("");
      try {
        mock.play({ status: 307, mediaType: "", body: null, headers: { location: `${other.url}/` } });
        assert.equal((await call()).isError, true);
        assert.equal(other.seen().length, 0);
      } finally {
        await other.close();
      }
    } finally {
      await place.close();
      await mock.close();
      await sandboxes.reap();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
