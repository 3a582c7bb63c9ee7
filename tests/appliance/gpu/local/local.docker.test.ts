/** The same exam with real containers. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { dockerMachines } from "../../../../appliance/docker/machines.ts";
import { providerContract } from "../../../contracts/gpuProvider.ts";
import { missingEngine } from "../../docker/engine.ts";
import { openLocalWorld } from "./world.ts";

const skip = missingEngine() ?? false;
const docker = (...args: string[]): string => spawnSync("docker", args, { encoding: "utf8" }).stdout.trim();

if (skip) test("this machine, by containers", { skip });
else {
  const root = mkdtempSync(join(tmpdir(), "nikaLocal"));
  const containers = dockerMachines();
  let image = "";
  before(async () => {
    image = await containers.ownImage();
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  providerContract({
    name: "this machine, by containers",
    need: {},
    refusals: {},
    endsWithinMs: 1_000,
    isLocal: true,
    open: async () => {
      const world = await openLocalWorld(root, {
        name: "container",
        containers,
        running: (names) =>
          docker("ps", "--filter", "label=nika.gpu.machine", "--format", "{{.Names}}")
            .split("\n")
            .filter((name) => names.has(name)).length,
        makeForeign(name, dataDir) {
          const labels = {
            "nika.gpu.install": "anothers",
            "nika.gpu.machine": "foreign0exam",
            "nika.gpu.folder": join(dataDir, "gpu/machines"),
          };
          const flags = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
          docker("run", "-d", "--rm", "--network", "none", "--name", name, ...flags, image, "sleep", "60");
        },
        end: (name) => containers.remove(name),
      });
      const { create } = world.provider;
      // The image that the exam names is nowhere; what is asked here is not how images are fetched.
      const own = {
        ...world.provider,
        create: ((intent, signal) => create({ ...intent, container: { ...intent.container!, image } }, signal)) as typeof create,
      };
      return { ...world, provider: own };
    },
  });
}
