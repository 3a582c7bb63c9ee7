import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { QdrantClient } from "@qdrant/js-client-rest";
import { dockerContainers } from "../../../appliance/docker/docker.ts";
import { provisionQdrant, type ProvisionOptions } from "../../../appliance/qdrant/provision.ts";
import { openStore } from "../../../appliance/store.ts";
import type { NikaError } from "../../../convex/model/error.ts";
import { freePort } from "../../../scripts/lab/freePort.ts";
import { missingEngine, removeImage, standIn } from "../docker/engine.ts";

// The engine is real; the image is a stand-in, because Qdrant's own cannot be fetched everywhere.
const skip = missingEngine();
const mark = randomBytes(4).toString("hex");
const image = `nika-standin-${mark}:1`;
const failing = `nika-standin-${mark}:ends`;
const name = `nika-test-${mark}`;
const containers = dockerContainers();
const { signal } = new AbortController();
let options: ProvisionOptions;

before(async () => {
  if (skip) return;
  standIn(image);
  standIn(failing, 'console.error("the disk is on fire"); process.exit(3);');
  options = { containers, apiKey: "a key", port: await freePort(), image, name, readyMs: 30_000 };
});

after(async () => {
  if (skip) return;
  await containers.remove(name);
  await containers.removeVolume(`${name}-data`);
  removeImage(image);
  removeImage(failing);
});

const fails = async (call: Promise<unknown>, code: string, text: RegExp): Promise<void> => {
  const error = (await call.then(
    () => assert.fail("it did not fail"),
    (thrown: unknown) => thrown,
  )) as NikaError;
  assert.equal(error.code, code, error.message);
  assert.match(error.message, text);
};

test(
  "a Qdrant is brought up with its key and volume, found up again, and keeps its data when it is made anew",
  { skip },
  async () => {
    const { url, version } = await provisionQdrant(options, signal);
    assert.match(version, /^1\.\d+\.\d+$/);
    const client = new QdrantClient({ url, headers: { "api-key": "a key" }, checkCompatibility: false });
    await client.createCollection("c", { vectors: { size: 2, distance: "Dot" } });
    await client.upsert("c", { wait: true, points: [{ id: 1, vector: [1, 2] }] });
    assert.equal((await fetch(`${url}/collections`)).status, 401);

    await provisionQdrant(options, signal);
    assert.equal((await client.count("c")).count, 1);

    // Another key is another container over the same volume.
    await provisionQdrant({ ...options, apiKey: "another" }, signal);
    const other = new QdrantClient({ url, headers: { "api-key": "another" }, checkCompatibility: false });
    assert.equal((await other.count("c")).count, 1);

    const { stop } = await provisionQdrant(options, signal);
    await stop();
    await stop();
    assert.equal((await containers.find(name))?.isRunning, false);
    await provisionQdrant(options, signal);
    assert.equal((await client.count("c")).count, 1);
  },
);

test("the container may do little: no capabilities, nothing to write but its volume, loopback, limits", { skip }, async () => {
  await provisionQdrant(options, signal);
  const { execFileSync } = await import("node:child_process");
  const [seen] = JSON.parse(execFileSync("docker", ["inspect", name], { encoding: "utf8" })) as [
    { HostConfig: Record<string, unknown> },
  ];
  const { CapDrop, ReadonlyRootfs, SecurityOpt, Memory, PidsLimit, PortBindings } = seen.HostConfig;
  assert.deepEqual(
    { CapDrop, ReadonlyRootfs, SecurityOpt, Memory, PidsLimit, PortBindings },
    {
      CapDrop: ["ALL"],
      ReadonlyRootfs: true,
      SecurityOpt: ["no-new-privileges:true"],
      Memory: 2 * 1024 ** 3,
      PidsLimit: 512,
      PortBindings: { "6333/tcp": [{ HostIp: "127.0.0.1", HostPort: String(options.port) }] },
    },
  );
});

test("what cannot be is said: an image out of reach, a program that ends, a port that is taken", { skip }, async () => {
  const nowhere = "127.0.0.1:9/nobody/nothing:1";
  await fails(provisionQdrant({ ...options, image: nowhere }, signal), "missing", /not on this machine and cannot be fetched/);

  const ending = { ...options, name: `${name}-ends`, image: failing, port: await freePort() };
  await fails(provisionQdrant(ending, signal), "unavailable", /the disk is on fire/);
  await containers.remove(ending.name);
  await containers.removeVolume(`${ending.name}-data`);

  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const busy = { ...options, name: `${name}-busy`, port: (taken.address() as AddressInfo).port };
  await fails(provisionQdrant(busy, signal), "conflict", /something else uses it/);
  await new Promise((resolve) => taken.close(resolve));
  await containers.remove(busy.name);
  await containers.removeVolume(`${busy.name}-data`);
});

test("the appliance opens it as its vector store, one for each folder of data", { skip }, async () => {
  const open = async (dir: string) =>
    openStore({
      config: { type: "qdrant", container: { port: await freePort(), image } },
      dir,
      apiKey: "mine",
      log: () => undefined,
    });
  const named = (dir: string) => `nika-qdrant-${createHash("sha256").update(dir).digest("hex").slice(0, 8)}`;
  const dirs = [`/nowhere/${mark}/one`, `/nowhere/${mark}/two`];
  try {
    const [one, two] = [await open(dirs[0]!), await open(dirs[1]!)];
    const client = (url: string) => new QdrantClient({ url, headers: { "api-key": "mine" }, checkCompatibility: false });
    await client(one.url).createCollection("c", { vectors: { size: 2, distance: "Dot" } });
    assert.equal((await client(two.url).collectionExists("c")).exists, false);
    await Promise.all([one.close(), two.close()]);
    assert.equal((await containers.find(named(dirs[0]!)))?.isRunning, false);
  } finally {
    for (const dir of dirs) {
      await containers.remove(named(dir));
      await containers.removeVolume(`${named(dir)}-data`);
    }
  }
});

test("where no engine answers, it says so", async () => {
  const nobody = dockerContainers({ socketPath: "/nowhere/docker.sock" });
  const asked = { containers: nobody, apiKey: "k", port: 1 };
  await fails(provisionQdrant(asked, signal), "unavailable", /No Docker engine answers/);
});
