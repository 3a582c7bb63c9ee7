/** This machine as the exam of all who let machines wants it: a data folder, a clock that is moved, and what counts as left. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shipmentIn } from "../../../../appliance/gpu/agent/ship.ts";
import { localProvider, type LocalOptions } from "../../../../appliance/gpu/local/local.ts";
import { machineName } from "../../../../convex/model/gpu.ts";
import type { ExamWorld } from "../../../contracts/gpuProvider.ts";

type Backend = {
  readonly name: "container" | "process";
  readonly containers?: NonNullable<LocalOptions["containers"]>;
  /** Those of these names that run. */
  running(names: ReadonlySet<string>, dataDir: string): number;
  makeForeign(name: string, dataDir: string): void;
  end(name: string): Promise<void>;
};

export async function openLocalWorld(root: string, { name: backend, containers, ...of }: Backend): Promise<ExamWorld> {
  const dataDir = mkdtempSync(join(root, "data"));
  mkdirSync(join(dataDir, "gpu/machines"), { recursive: true });
  // Agents wait for their time to start, so that none dials a door that is not there.
  const setting = { backend, slots: 8, scenario: { bootSeconds: 60 } };
  writeFileSync(join(dataDir, "gpu/local.json"), JSON.stringify(setting));
  let at = Date.now();
  const provider = localProvider({
    dataDir,
    ...(containers && { containers }),
    shipment: () => shipmentIn(join(root, "agents")),
    door: { folder: dataDir, socket: join(dataDir, "door.sock") },
    now: () => at,
  });
  const foreign = machineName({ installId: "anothers", machineId: "foreign0exam", deadline: at + 3_600_000 });
  const started = new Set<string>();
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
      started.add(foreign);
      of.makeForeign(foreign, dataDir);
    },
    left: () => ({ machines: of.running(started, dataDir), satellites: 0 }),
    secrets: [],
    async close() {
      for (const name of started) await of.end(name);
    },
  };
}
