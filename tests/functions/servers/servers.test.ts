/** Installing and copying as jobs: what the owner sees of them, and when nobody outside is asked anything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { NikaError } from "../../../convex/model/error.ts";
import type { InstallWish } from "../../../convex/model/install.ts";
import type { Servers } from "../../../functions/ports/servers.ts";
import { installServer } from "../../../functions/servers/install.ts";
import { mirrorServers } from "../../../functions/servers/mirror.ts";
import { joinWorker, only } from "../../contracts/lab.ts";
import { openFakeState } from "../../fakes/state.ts";

const clock = { now: () => 1_000 };
const unused = (): never => assert.fail("nobody asked for that");
const servers = (more: Partial<Servers>): Servers => ({
  install: unused,
  copy: unused,
  retain: () => undefined,
  retryAfterOf: () => undefined,
  ...more,
});
const wish: InstallWish = {
  name: "io.github.acme/weather",
  values: {},
  args: [],
  env: {},
  secrets: [],
  egress: [],
  mounts: [],
  despiteWarnings: false,
};
const call = { attempt: 1, signal: new AbortController().signal, progress: () => undefined };

test("no registry is asked before the owner turns one on or searches; then it is copied, and again within the hour", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  const mirrors = async () => (await worker.claim(8)).filter(({ kind }) => kind === "servers.mirror");
  await state.mutation(internal.registries.copyDue, {});
  assert.deepEqual(await mirrors(), []);
  assert.equal(await state.mutation(internal.registries.beginUse, {}), true);
  assert.equal(await state.mutation(internal.registries.beginUse, {}), false);
  const job = only(await mirrors());
  const copied = servers({
    copy: (registry, { progress }) => (progress(5), Promise.resolve({ servers: registry.name === "official" ? 5 : 0 })),
  });
  const outcome = await mirrorServers.run(
    { ...call, jobId: job.jobId, args: { registry: "official" } },
    { state, clock, servers: copied },
  );
  assert(await worker.settle(job, outcome));
  const official = (await state.owner.query(api.registries.list, {})).find(({ name }) => name === "official");
  assert.deepEqual([official?.isOn, official?.servers, official?.copiedAt, official?.isCopying], [true, 5, 1_000, false]);
  await state.mutation(internal.registries.copyDue, {});
  await state.mutation(internal.registries.copyDue, {});
  assert.equal((await mirrors()).length, 1);
  // What the owner turned off stays off, whoever searches.
  await state.owner.mutation(api.registries.set, { name: "official", isOn: false });
  assert.equal(await state.mutation(internal.registries.beginUse, {}), false);
  await assert.rejects(state.owner.mutation(api.registries.set, { name: "own", url: "https://user:pw@x.example" }), /password/);
  await assert.rejects(state.owner.mutation(api.registries.set, { name: "nobody", isOn: true }), /no registry/);
});

test("a registry that wants to be left alone is, as long as it said; the owner sees why", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.registries.set, { name: "own", url: "https://registry.example" });
  const busy = servers({ copy: () => Promise.reject(new NikaError("unavailable", "It is busy.")), retryAfterOf: () => 7_000 });
  const outcome = await mirrorServers.run({ ...call, jobId: "x", args: { registry: "own" } }, { state, clock, servers: busy });
  assert.deepEqual(outcome, { type: "failed", code: "unavailable", message: "It is busy.", retry: true, retryAfterMs: 7_000 });
  const own = (await state.owner.query(api.registries.list, {})).find(({ name }) => name === "own");
  assert.equal(own?.problem, "It is busy.");
  await state.owner.mutation(api.registries.remove, { name: "own" });
  assert.deepEqual(
    await mirrorServers.run({ ...call, jobId: "x", args: { registry: "own" } }, { state, clock, servers: servers({}) }),
    { type: "done" },
  );
});

test("an installation is seen step by step, ends with what came of it, and is not begun twice", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  const installId: Id<"installs"> = await state.owner.mutation(api.installs.begin, { wish });
  await assert.rejects(state.owner.mutation(api.installs.begin, { wish }), /already/);
  const view = async () => state.owner.query(api.installs.get, { id: installId });
  assert.equal((await view())?.state, "waiting");
  const job = only(await worker.claim());
  const seen: string[] = [];
  const result = {
    alias: "weather",
    name: wish.name,
    version: "1.0.0",
    tools: 1,
    waiting: 1,
    marked: 0,
    secrets: [],
    hosts: [],
    notes: [],
  };
  const port = servers({
    async install(given, { step }) {
      assert.deepEqual(given, wish);
      step("fetch", "fetching 3 packages");
      while ((await view())?.step !== "fetch") await new Promise((done) => setImmediate(done));
      seen.push(`${(await view())?.state} ${(await view())?.note}`);
      return result;
    },
  });
  const outcome = await installServer.run({ ...call, jobId: job.jobId, args: { installId } }, { state, servers: port });
  assert(await worker.settle(job, outcome));
  assert.deepEqual(seen, ["working fetching 3 packages"]);
  const ended = await view();
  assert.deepEqual([ended?.state, ended?.step, ended?.result], ["done", "done", result]);
});

test("an installation that is refused says why, and can be begun again", async () => {
  const state = openFakeState();
  const worker = await joinWorker(state);
  const id = await state.owner.mutation(api.installs.begin, { wish });
  const job = only(await worker.claim());
  assert(await worker.settle(job, { type: "failed", code: "denied", message: "It does not verify.", retry: false }));
  const view = await state.owner.query(api.installs.get, { id });
  assert.deepEqual([view?.state, view?.problem], ["failed", { code: "denied", message: "It does not verify." }]);
  await state.owner.mutation(api.installs.begin, { wish });
  assert.equal((await state.owner.query(api.installs.list, {})).length, 2);
  await assert.rejects(
    state.owner.mutation(api.installs.begin, { wish: { ...wish, alias: "b", egress: ["everything"] } }),
    /host:port/,
  );
});
