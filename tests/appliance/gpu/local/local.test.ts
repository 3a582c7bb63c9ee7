import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { killMarked, mark, markedProcesses } from "../../../../appliance/gpu/local/marked.ts";
import { providerContract } from "../../../contracts/gpuProvider.ts";
import { openLocalWorld } from "./world.ts";

const root = mkdtempSync(join(tmpdir(), "nikaLocal"));
after(() => rmSync(root, { recursive: true, force: true }));

providerContract({
  name: "this machine, by processes",
  need: {},
  refusals: {},
  endsWithinMs: 1_000,
  isLocal: true,
  open: () =>
    openLocalWorld(root, {
      name: "process",
      running: (names) => [...markedProcesses().keys()].filter((name) => names.has(name)).length,
      makeForeign(name, dataDir) {
        mkdirSync(join(dataDir, "gpu/machines", name), { recursive: true });
        spawn("sleep", ["60"], { stdio: "ignore", env: { PATH: process.env["PATH"], [mark]: name } });
      },
      end: killMarked,
    }),
});
