import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { shipmentIn } from "../../../../appliance/gpu/agent/ship.ts";
import { localProvider } from "../../../../appliance/gpu/local/local.ts";
import { killMarked, mark, markedProcesses } from "../../../../appliance/gpu/local/marked.ts";
import { machineName } from "../../../../convex/model/gpu.ts";
import { providerContract } from "../../../contracts/gpuProvider.ts";

const root = mkdtempSync(join(tmpdir(), "nikaLocal"));
after(() => rmSync(root, { recursive: true, force: true }));

providerContract({
  name: "this machine, by processes",
  need: {},
  refusals: {},
  endsWithinMs: 1_000,
  isLocal: true,
  async open() {
    const dataDir = mkdtempSync(join(root, "data"));
    mkdirSync(join(dataDir, "gpu"));
    writeFileSync(join(dataDir, "gpu/local.json"), JSON.stringify({ backend: "process", slots: 8 }));
    let at = Date.now();
    const provider = localProvider({
      dataDir,
      shipment: () => shipmentIn(join(root, "agents")),
      door: { folder: dataDir, socket: join(dataDir, "door.sock") },
      now: () => at,
    });
    const foreign = machineName({ installId: "anothers", machineId: "foreign0exam", deadline: at + 3_600_000 });
    const started = new Set<string>();
    const mine = (): string[] => [...markedProcesses().keys()].filter((name) => started.has(name));
    return {
      provider: {
        ...provider,
        create(intent, signal) {
          started.add(intent.name);
          return provider.create(intent, signal);
        },
      },
      now: () => at,
      advance: (ms) => void (at += ms),
      fault: () => () => undefined,
      makeForeign() {
        mkdirSync(join(dataDir, "gpu/machines", foreign), { recursive: true });
        started.add(foreign);
        spawn("sleep", ["60"], { stdio: "ignore", env: { PATH: process.env["PATH"], [mark]: foreign } });
      },
      left: () => ({ machines: mine().length, satellites: 0 }),
      secrets: [],
      async close() {
        for (const name of started) await killMarked(name);
      },
    };
  },
});
