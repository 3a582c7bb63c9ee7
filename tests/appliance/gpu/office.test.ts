/** What machines hand over, when a job had more than one: the door and the shelf as they are, over the control plane's own functions. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openGpuDoor, type Door } from "../../../appliance/gpu/door/door.ts";
import { hashOfToken, openOffice } from "../../../appliance/gpu/door/office.ts";
import { openPasses } from "../../../appliance/gpu/door/passes.ts";
import { openShelf } from "../../../appliance/gpu/door/shelf.ts";
import { internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { MachineFacts } from "../../../convex/model/agent.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import { fakeFiles } from "../../fakes/files.ts";
import { installId } from "../../fakes/gpu/fleet.ts";
import { offerAt, openPlain } from "../../fakes/gpu/plain.ts";
import { openFakeState } from "../../fakes/state.ts";

const root = mkdtempSync(join(tmpdir(), "nikaOffice"));
const doors: Door[] = [];
after(async () => {
  for (const door of doors) await door.close();
  rmSync(root, { recursive: true, force: true });
});
const { capability } = openPlain({ now: () => Date.now() }).provider;
const facts = { gpus: [], cpus: 2, memoryMb: 4_000, diskFreeMb: 9_000, system: "Linux" };

async function open() {
  const state = openFakeState();
  const dir = mkdtempSync(join(root, "data"));
  const stored = () => state.run((ctx) => ctx.storage.store(new Blob(["x"])));
  const shelf = openShelf({ dir });
  const office = openOffice({ state, files: fakeFiles(null, stored), shelf, dir: join(dir, "known"), now: () => Date.now() });
  const passes = openPasses(Buffer.from("a key"));
  const door = openGpuDoor({ passes, shelf, state: office, log: (line) => assert.fail(line) });
  doors.push(door);
  await door.listen(dir);
  const ask = { label: "train", command: ["true"], need: {}, runMsMax: 3_600_000 };
  const jobId = await state.mutation(internal.gpuJobs.add, { ask });

  /** The next machine of the job, let in unless it is told otherwise; it says things by this. */
  async function nextMachine(epoch: number, how: { gpu?: Offer["gpu"]; says?: MachineFacts; isRefused?: true } = {}) {
    await state.mutation(internal.gpuJobs.placing, { gpuJobId: jobId });
    const { gpu: _gpu, ...bare } = offerAt("scaleway", "zone-1", Date.now(), 0);
    const choices = [{ offer: { ...bare, ...(how.gpu && { gpu: how.gpu }) }, capability }];
    const machineId = await state.mutation(internal.gpuJobs.placed, { gpuJobId: jobId, installId, choices, says: "" });
    assert.ok(machineId);
    const intent = await state.mutation(internal.machines.asking, { machineId });
    assert.ok(intent);
    const token = passes.token({ machineId: intent.key, epoch });
    await state.mutation(internal.machineBeats.setSecret, { machineId, secretHash: hashOfToken(token) });
    const ref = { provider: "scaleway" as const, region: "zone-1", id: `m${epoch}` };
    const observed = { ref, name: intent.name, state: "running" as const, isBilled: true, satellites: [] };
    await state.mutation(internal.machines.asked, { machineId, result: { type: "created", observed } });
    const session = passes.session({ machineId, epoch });
    const say = async (path: string, body: Buffer | object, method = "POST"): Promise<{ status: number; text: string }> => {
      const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
      const headers = { authorization: `Bearer ${session}` };
      const sent = request(
        { socketPath: join(dir, "door.sock"), path: `/nika/gpu/agent/${path}`, method, headers },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      sent.once("error", reject).end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
      return promise;
    };
    const put = async (path: string, content: string) => {
      const bytes = Buffer.from(content);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const { status } = await say(`blob/${sha256}?offset=0&size=${bytes.length}`, bytes, "PUT");
      return { status, file: { path, sha256, sizeBytes: bytes.length } };
    };
    const enrolled = await say("enrol", { token, nonce: `n${epoch}`, facts: how.says ?? facts });
    if (how.isRefused) {
      assert.equal(enrolled.status, 401, enrolled.text);
      return { machineId, say, put, work: { checkpoints: [] } };
    }
    assert.equal(enrolled.status, 200, enrolled.text);
    let seq = 0;
    const beat = (work: string) => say("beat", { seq: ++seq, work, logBytes: 0, gpus: [], diskFreeMb: 1 });
    await beat("running");
    return { machineId, say, put, work: (JSON.parse(enrolled.text) as { work: { checkpoints: { number: number }[] } }).work };
  }
  const take = (machineId: Id<"machines">, epoch: number) =>
    state.mutation(internal.machineBeats.leave, { machineId, epoch, why: "preempted" });
  const view = () => state.query(internal.gpuJobs.view, { id: jobId });
  return { dir, state, shelf, jobId, nextMachine, take, view };
}

test("the next machine is given the newest checkpoints, and only its own results and checkpoints count from then on", async () => {
  const { shelf, jobId, nextMachine, take, view } = await open();
  const first = await nextMachine(1);
  assert.deepEqual(first.work.checkpoints, []);
  for (const number of [1, 2, 3]) {
    const { file } = await first.put(`step${number}`, `weights ${number}`);
    assert.equal((await first.say("checkpoint", { number, files: [file] })).status, 200);
  }
  const zombie = await first.put("weights", "of the first machine");
  await take(first.machineId, 1);
  assert.equal((await view())?.state, "queued");

  const second = await nextMachine(2);
  assert.deepEqual(
    second.work.checkpoints.map(({ number }) => number),
    [3, 2],
  );
  // It was given up, runs all the same, and has something to hand over.
  assert.equal((await first.say("checkpoint", { number: 9, files: [zombie.file] })).status, 401);
  assert.equal((await first.say("results", { files: [zombie.file], exitCode: 0 })).status, 401);
  assert.equal((await first.put("more", "of the first")).status, 401);
  assert.equal((await first.say("log?offset=0", Buffer.from("late"))).status, 401);
  assert.equal(shelf.results(jobId), undefined);
  assert.deepEqual(
    (await shelf.checkpoints(jobId)).map(({ number }) => number),
    [3, 2],
  );

  const { file } = await second.put("weights", "of the second");
  assert.equal((await second.say("results", { files: [file], exitCode: 0 })).status, 200);
  const done = await view();
  assert.deepEqual([done?.state, done?.attempt, done?.files], ["succeeded", 2, 1]);
  assert.equal(readFileSync(join(shelf.results(jobId) ?? "", "weights"), "utf8"), "of the second");
});

test("results that a machine laid out just before it was given up give way to those of the one that is meant", async () => {
  const { shelf, jobId, nextMachine, take } = await open();
  const first = await nextMachine(1);
  const { file: old } = await first.put("weights", "of the first machine");
  await shelf.finish(jobId, [old]);
  await take(first.machineId, 1);
  const second = await nextMachine(2);
  const { file } = await second.put("weights", "of the second");
  assert.equal((await second.say("results", { files: [file], exitCode: 0 })).status, 200);
  assert.equal(readFileSync(join(shelf.results(jobId) ?? "", "weights"), "utf8"), "of the second");
});

test("a machine that is not what was paid for is sent away and ends; its work goes elsewhere, and its place is passed over", async () => {
  const { state, nextMachine, view } = await open();
  const gpu = { name: "H100", count: 1, memoryMb: 80_000 };
  const other = { ...facts, gpus: [{ name: "NVIDIA L4", uuid: "GPU-1", memoryMb: 24_152, driver: "570.1" }] };
  const { machineId, say } = await nextMachine(1, { gpu, says: other, isRefused: true });
  const machine = await state.run((ctx) => ctx.db.get(machineId));
  assert.deepEqual([machine?.life.state, machine?.life.why], ["ending", "unfit"]);
  assert.match(machine?.life.failure?.says ?? "", /GPU 0 is an L4; an H100 is paid for/);
  assert.equal((await view())?.state, "queued");
  const { blocks, evidence } = await state.query(internal.machines.outlook, { now: Date.now() });
  assert.equal(blocks[0]?.scope, "type");
  assert.ok((blocks[0]?.until ?? 0) > Date.now() + 20 * 60_000);
  assert.ok((evidence[0]?.refused ?? 0) > 0);
  assert.equal((await say("beat", { seq: 1, work: "running", logBytes: 0, gpus: [], diskFreeMb: 1 })).status, 401);
  const right = {
    ...facts,
    gpus: [{ name: "NVIDIA H100 PCIe", uuid: "GPU-2", memoryMb: 85_520, driver: "570.1", memoryErrors: 0 }],
  };
  await nextMachine(2, { gpu, says: right });
});

test("no address that a machine may ask for ends the process or is left without an answer", async () => {
  const { dir } = await open();
  const statusOf = (path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request({ socketPath: join(dir, "door.sock"), path, timeout: 5_000 }, (answer) => resolve(answer.resume().statusCode))
        .on("timeout", () => reject(new Error(`${path} was left without an answer`)))
        .on("error", reject)
        .end();
    });
  assert.deepEqual(
    await Promise.all(["//", "//[", "/nika/gpu/agent//", "/nika/gpu/agent/blob/%ff"].map(statusOf)),
    [404, 404, 401, 401],
  );
});
