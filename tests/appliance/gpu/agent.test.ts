import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { shipmentIn } from "../../../appliance/gpu/agent/ship.ts";
import { openGpuDoor, type DoorState } from "../../../appliance/gpu/door/door.ts";
import { openPasses, type Pass } from "../../../appliance/gpu/door/passes.ts";
import { openShelf } from "../../../appliance/gpu/door/shelf.ts";
import { localProvider } from "../../../appliance/gpu/local/local.ts";
import { killMarked, markedProcesses } from "../../../appliance/gpu/local/marked.ts";
import type { Beat, Order, Shipped } from "../../../convex/model/agent.ts";
import { NikaError } from "../../../convex/model/error.ts";
import { machineName } from "../../../convex/model/gpu.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";

const signal = AbortSignal.timeout(60_000);
const root = mkdtempSync(join(tmpdir(), "nikaGpu"));
const cache = join(root, "agents");
const machines = new Set<string>();
/** Closed whatever happens: an open one keeps this process up when a test failed. */
const doors = new Set<{ close(): Promise<void> }>();
after(async () => {
  for (const door of doors) await door.close();
  for (const name of machines) await killMarked(name);
  rmSync(root, { recursive: true, force: true });
});

/** A control plane of one machine and one job, in memory. */
function openOffice(machineId: string, jobId: string) {
  const beats: Beat[] = [];
  const orders: Order[] = [];
  const finished = Promise.withResolvers<{ exit: number; isTaken: boolean; files: readonly Shipped[] }>();
  const work = { jobId, parcel: "", command: [process.execPath, "train.mjs"], environment: {}, graceMs: 2_000, runMs: 30_000 };
  let nonce: string | undefined;
  let epoch = 1;
  let log = "";
  const current = (pass: Pass): void => {
    if (pass.epoch !== epoch) throw new NikaError("denied", "Its time is over.");
  };
  const state: DoorState = {
    async enrol(told) {
      if (nonce !== undefined && nonce !== told.nonce) throw new NikaError("denied", "This token was used.");
      nonce = told.nonce;
      return { pass: { machineId, epoch: 1 }, lifeMs: 60_000, work };
    },
    async beat(pass, beat) {
      current(pass);
      beats.push(beat);
      return { lifeMs: 60_000, orders };
    },
    async held(pass) {
      current(pass);
      return work;
    },
    async append(pass, offset, text) {
      current(pass);
      if (offset === Buffer.byteLength(log)) log += text;
      return Buffer.byteLength(log);
    },
    async checkpoint(pass) {
      current(pass);
    },
    async finish(pass, told) {
      current(pass);
      finished.resolve(told);
    },
  };
  return { state, beats, orders, work, finished: finished.promise, log: () => log, supersede: () => void epoch++ };
}

type Scene = {
  readonly script: string;
  readonly graceMs?: number;
  readonly runMs?: number;
  readonly environment?: Record<string, string>;
  /** Of machines before it, oldest first: what one holds, and whether its bytes are still what they were. */
  readonly checkpoints?: readonly { readonly name: string; readonly text: string; readonly isWhole: boolean }[];
  /** Beside the backend, as gpu/local.json has it. */
  readonly setting?: object;
  readonly isSpot?: boolean;
};

/** A door, a job of one script, and a machine of processes that is to run it. */
async function openScene({ script, environment = {}, checkpoints = [], setting = {}, isSpot = false }: Scene) {
  const dataDir = mkdtempSync(join(root, "data"));
  const source = join(dataDir, "source");
  mkdirSync(join(source, "lib"), { recursive: true });
  writeFileSync(join(source, "train.mjs"), script);
  writeFileSync(join(source, "lib/input.txt"), "what is trained on");
  mkdirSync(join(dataDir, "gpu"));
  writeFileSync(join(dataDir, "gpu/local.json"), JSON.stringify({ backend: "process", ...setting }));
  const jobId = `job${randomBytes(4).toString("hex")}`;
  const machineId = randomBytes(6).toString("hex");
  const office = openOffice(`row${machineId}`, jobId);
  const passes = openPasses(Buffer.from("a key of the appliance's"));
  const shelf = openShelf({ dir: join(dataDir, "gpu") });
  office.work.parcel = (await shelf.pack(source)).name;
  for (const [n, { name, text, isWhole }] of checkpoints.entries()) {
    const sha256 = createHash("sha256").update(text).digest("hex");
    const sizeBytes = Buffer.byteLength(text);
    await shelf.take(jobId, { sha256, sizeBytes, offset: 0, bytes: Readable.from([Buffer.from(text)]) });
    await shelf.checkpoint(jobId, { number: n + 1, files: [{ path: `${name}/weights`, sha256, sizeBytes }] });
    if (!isWhole) writeFileSync(shelf.find({ jobId }, sha256) ?? "", "other bytes");
  }
  const door = openGpuDoor({ passes, shelf, state: office.state, log: (line) => assert.fail(line) });
  const folder = join(dataDir, "d");
  doors.add(door);
  await door.listen(folder);
  const provider = localProvider({
    dataDir,
    shipment: () => shipmentIn(cache),
    door: { folder, socket: join(folder, "door.sock") },
    now: () => Date.now(),
  });
  const deadline = Date.now() + 60_000;
  const [offer] = await provider.offers({ maySpot: isSpot }, signal);
  assert.ok(offer);
  const name = machineName({ installId: "k17install0", machineId, deadline });
  machines.add(name);
  const made = await provider.create(
    {
      name,
      installId: "k17install0",
      machineId,
      token: "",
      deadline,
      offer,
      diskMb: 1_000,
      publicKey: "",
      boot: "",
      container: {
        image: "",
        args: [],
        environment: { NIKA_GPU_TOKEN: passes.token({ machineId, epoch: 1 }), NIKA_GPU_BEAT_MS: "100", ...environment },
      },
    },
    signal,
  );
  assert.equal(made.type, "created");
  return {
    ...office,
    provider,
    name,
    jobId,
    shelf,
    door,
    folder,
    machineId: `row${machineId}`,
    key: machineId,
    passes,
    ref: made.observed.ref,
  };
}

/** The one that started the others. Not the lowest number: those begin anew at some point. */
function firstOf(pids: readonly number[]): number | undefined {
  return pids.find((pid) => !pids.includes(Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])));
}

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");

async function gone(provider: Provider, name: string): Promise<void> {
  for (let round = 0; round < 400; round++) {
    const found = await provider.describe({ provider: "local", region: "here", id: name }, signal);
    if (found?.state !== "running") return assert.equal(markedProcesses().get(name), undefined);
    await delay(25);
  }
  assert.fail(`it did not end; there is still ${(markedProcesses().get(name) ?? []).map(commandOf).join("; ")}`);
}

test("a machine enrols, runs the work with its files, sends output as it comes and results by hash, and ends when told to", async () => {
  const scene = await openScene({
    script: `
      import { readFileSync, writeFileSync } from "node:fs";
      console.log("begins", Object.keys(process.env).filter((name) => name.startsWith("NIKA_GPU_")).length);
      writeFileSync(process.env.NIKA_OUT + "/model.bin", readFileSync("lib/input.txt", "utf8").toUpperCase());
      console.log("ends");
    `,
  });
  const { files, ...told } = await scene.finished;
  assert.deepEqual(told, { exit: 0, isTaken: false });
  assert.deepEqual(
    files.map(({ path, sizeBytes }) => [path, sizeBytes]),
    [["model.bin", 18]],
  );
  const results = scene.shelf.results(scene.jobId);
  assert.equal(readFileSync(join(results ?? "", "model.bin"), "utf8"), "WHAT IS TRAINED ON");
  assert.equal(scene.log(), "begins 0\nends\n");
  scene.orders.push("end");
  await gone(scene.provider, scene.name);
  assert.deepEqual(new Set(scene.beats.map(({ work }) => work)).has("done"), true);
  assert.equal(await scene.provider.terminate(scene.ref, signal), "gone");
  assert.deepEqual(await Array.fromAsync(scene.provider.list(signal)), []);
  await scene.door.close();
});

test("work goes on while nobody answers, and its results are handed over when somebody does again", async () => {
  const scene = await openScene({
    script: `
      import { writeFileSync } from "node:fs";
      console.log("one");
      await new Promise((done) => setTimeout(done, 600));
      console.log("two");
      writeFileSync(process.env.NIKA_OUT + "/done", "yes");
    `,
  });
  while (scene.log() === "") await delay(20);
  await scene.door.close();
  await delay(700);
  const again = openGpuDoor({ ...scene, state: scene.state, log: (line) => assert.fail(line) });
  doors.add(again);
  await again.listen(scene.folder);
  assert.equal((await scene.finished).exit, 0);
  assert.equal(scene.log(), "one\ntwo\n");
  scene.orders.push("end");
  await gone(scene.provider, scene.name);
  await again.close();
});

test("told to stop, work saves within its grace, and the checkpoint and what there is are handed over", async () => {
  const scene = await openScene({
    script: `
      import { mkdirSync, renameSync, writeFileSync } from "node:fs";
      process.on("SIGTERM", () => {
        mkdirSync(process.env.NIKA_CKPT_DIR + "/step7.tmp");
        writeFileSync(process.env.NIKA_CKPT_DIR + "/step7.tmp/weights", "7");
        renameSync(process.env.NIKA_CKPT_DIR + "/step7.tmp", process.env.NIKA_CKPT_DIR + "/step7");
        process.exit(3);
      });
      console.log("at work", process.env.NIKA_GRACE_S);
      setInterval(() => {}, 1_000);
    `,
  });
  while (scene.log() === "") await delay(20);
  scene.orders.push("stop");
  assert.equal((await scene.finished).exit, 3);
  const [last] = await scene.shelf.checkpoints(scene.jobId);
  assert.deepEqual(
    last?.files.map(({ path, sizeBytes }) => [path, sizeBytes]),
    [["step7/weights", 1]],
  );
  scene.orders.push("end");
  await gone(scene.provider, scene.name);
  await scene.door.close();
});

test("the next machine goes on from the newest checkpoint that is whole, and finds nothing of one that is not", async () => {
  const scene = await openScene({
    script: `
      import { readFileSync, readdirSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
      const { NIKA_RESUME_FROM: from, NIKA_CKPT_DIR: all } = process.env;
      console.log(readFileSync(from + "/weights", "utf8"), readdirSync(all).join());
      mkdirSync(all + "/step4.tmp");
      writeFileSync(all + "/step4.tmp/weights", "four");
      renameSync(all + "/step4.tmp", all + "/step4");
    `,
    checkpoints: [
      { name: "step1", text: "one", isWhole: true },
      { name: "step2", text: "two", isWhole: true },
      { name: "step3", text: "three", isWhole: false },
    ],
  });
  assert.equal((await scene.finished).exit, 0);
  assert.equal(scene.log(), "two step2\n");
  // The new one is newer than the one that did not keep.
  assert.deepEqual(
    (await scene.shelf.checkpoints(scene.jobId)).map(({ number, files }) => [number, files[0]?.path]),
    [
      [4, "step4/weights"],
      [3, "step3/weights"],
    ],
  );
  scene.orders.push("end");
  await gone(scene.provider, scene.name);
  await scene.door.close();
});

test("a scenario takes a machine away as a vendor does: with notice it saves and says so, without it is simply gone", async () => {
  const script = `
    import { writeFileSync, renameSync } from "node:fs";
    process.on("SIGTERM", () => {
      writeFileSync(process.env.NIKA_CKPT_DIR + "/last.tmp", "saved");
      renameSync(process.env.NIKA_CKPT_DIR + "/last.tmp", process.env.NIKA_CKPT_DIR + "/last");
      process.exit(75);
    });
    console.log("at work");
    setInterval(() => {}, 1_000);
  `;
  const play = (noticeSeconds: number) =>
    openScene({ script, isSpot: true, setting: { scenario: { taken: { afterSeconds: 1, noticeSeconds } } } });
  const told = await play(20);
  assert.deepEqual((await told.finished).isTaken, true);
  assert.deepEqual((await told.shelf.checkpoints(told.jobId))[0]?.files[0]?.path, "last");
  told.orders.push("end");
  await gone(told.provider, told.name);
  await told.door.close();
  const lost = await play(0);
  await gone(lost.provider, lost.name);
  const shown = await lost.provider.describe(lost.ref, signal);
  assert.deepEqual([shown?.state, shown?.wentBy, shown?.isBilled], ["stopped", "preemption", false]);
  await lost.door.close();
});

test("a machine that was given up can write nothing any more, and ends itself", async () => {
  const scene = await openScene({ script: "setInterval(() => console.log('still'), 50)" });
  while (scene.log() === "") await delay(20);
  scene.supersede();
  await gone(scene.provider, scene.name);
  await scene.door.close();
});

test("without work and without an answer a machine ends itself; so does one whose time is up, and one whose guard is killed", async () => {
  const idle = await openScene({ script: "", environment: { NIKA_GPU_IDLE_MS: "400" } });
  await idle.finished;
  idle.door.mute(idle.machineId);
  await gone(idle.provider, idle.name);
  const late = await openScene({
    script: "setInterval(() => {}, 1_000)",
    environment: { NIKA_GPU_ENROL_MS: "300", NIKA_GPU_TOKEN: "nkg_no" },
  });
  await gone(late.provider, late.name);
  const unguarded = await openScene({ script: "console.log('at work'); setInterval(() => {}, 1_000)" });
  while (unguarded.log() === "") await delay(20);
  const guard = firstOf(markedProcesses().get(unguarded.name) ?? []);
  assert.ok(guard);
  process.kill(guard, "SIGKILL");
  await gone(unguarded.provider, unguarded.name);
  for (const { door } of [idle, late, unguarded]) await door.close();
});

test("a token that nobody here made opens nothing, and neither does one session for another machine", async () => {
  const scene = await openScene({ script: "setInterval(() => {}, 1_000)" });
  const ask = async (path: string, session: string, body: object): Promise<number> => {
    const { request } = await import("node:http");
    const sent = request({
      socketPath: join(scene.folder, "door.sock"),
      path: `/nika/gpu/agent/${path}`,
      method: "POST",
      headers: { authorization: `Bearer ${session}` },
    });
    sent.end(JSON.stringify(body));
    const [response] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
    response.resume();
    return response.statusCode;
  };
  const mine = scene.passes.session({ machineId: scene.machineId, epoch: 1 });
  assert.equal(
    await ask("enrol", "", { token: scene.passes.token({ machineId: scene.machineId, epoch: 1 }), nonce: "other" }),
    200,
  );
  assert.equal(await ask("enrol", "", { token: mine, nonce: "x" }), 401);
  assert.equal(await ask("results", mine.replace(/_1_/, "_2_"), { files: [], exitCode: 0 }), 401);
  assert.equal(
    await ask("results", mine, { files: [{ path: "../up", sha256: "0".repeat(64), sizeBytes: 1 }], exitCode: 0 }),
    400,
  );
  assert.equal(
    await ask("results", mine, { files: [{ path: "never", sha256: "0".repeat(64), sizeBytes: 1 }], exitCode: 0 }),
    404,
  );
  await scene.provider.terminate(scene.ref, signal);
  await scene.door.close();
});
