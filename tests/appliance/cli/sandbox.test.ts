import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sandboxCheck } from "../../../appliance/cli/sandbox.ts";

test("the doctor tells of verdicts on sandboxes without trying anything", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "nika-verdicts-"));
  try {
    assert.match((await sandboxCheck(dataDir)).text, /not tried yet/);
    mkdirSync(join(dataDir, "sandbox"));
    const verdict = (runtime: string, isSufficient: boolean) => ({
      runtime,
      at: 0,
      isSufficient,
      probes: [{ name: "memory", holds: isSufficient, detail: "" }],
    });
    const keep = (verdicts: object): void => writeFileSync(join(dataDir, "sandbox/attestations.json"), JSON.stringify(verdicts));
    keep({ a: verdict("runc", true), b: verdict("gvisor", false) });
    assert.deepEqual(await sandboxCheck(dataDir), { name: "Sandbox", level: "ok", text: "runc (1 limits) held when last tried" });
    keep({ b: verdict("gvisor", false) });
    assert.equal((await sandboxCheck(dataDir)).level, "warn");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
