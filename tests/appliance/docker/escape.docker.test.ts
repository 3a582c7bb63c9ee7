import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import { missingEngine } from "./engine.ts";
import { attemptAll } from "./escape/escape.ts";

const root = mkdtempSync(join(tmpdir(), "nika-escape-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("nothing gets out of a sandbox, and nothing takes more than it may have", { skip: missingEngine() ?? false }, async () => {
  const mounts = join(root, "mounts");
  mkdirSync(mounts);
  const sandboxes = dockerSandboxes({ dataDir: join(root, "data"), mountRoots: [mounts] });
  const attempts = await attemptAll({
    sandboxes,
    runtime: "runc",
    root: mounts,
    hasPython: existsSync("/usr/bin/python3"),
    isShort: true,
  });
  assert.ok(attempts.length >= 60, `only ${attempts.length} attempts were made`);
  assert.deepEqual(
    attempts.filter(({ out }) => out !== undefined),
    [],
  );
});
