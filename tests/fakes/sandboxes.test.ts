import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { sandboxesContract } from "../contracts/sandboxes.ts";
import { fakeSandboxes } from "./sandboxes.ts";

const root = mkdtempSync(join(tmpdir(), "nika-sandboxes-"));
after(() => rmSync(root, { recursive: true, force: true }));

sandboxesContract("the fake", async () => ({
  sandboxes: fakeSandboxes({ mountRoots: [root] }),
  root,
  without: { mounts: "a plain process sees this machine's files", limits: "a plain process has none" },
}));
