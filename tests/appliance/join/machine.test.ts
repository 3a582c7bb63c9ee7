import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { machineWorkers, type MachineWorkersOptions } from "../../../appliance/join/machine.ts";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { NikaError } from "../../../convex/model/error.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import type { State } from "../../../functions/ports/state.ts";

const there: MachineWorkersOptions = {
  state: { mutation: async () => "worker" } as unknown as State,
  ownUrl: () => "http://127.0.0.1:1",
  vault: { url: "http://127.0.0.1:2", apiKey: "of the vault" },
  reach: () => ({ url: "https://nika.example.org", vaultUrl: "https://vault.example.org" }),
  parcel: async () => "aparcel",
};
const container = { provider: "runpod", form: "container", image: "nika:1" } as const;

test("a process of this machine can always work; a container elsewhere needs an image, an address of ours, and the vault within reach", () => {
  const saysWhen = (reached: ReturnType<MachineWorkersOptions["reach"]>): string =>
    machineWorkers({ ...there, reach: () => reached }).problem(container) ?? "";
  assert.equal(machineWorkers({ ...there, reach: () => undefined }).problem({ provider: "local", form: "host" }), undefined);
  assert.equal(machineWorkers(there).problem(container), undefined);
  assert.match(machineWorkers(there).problem({ ...container, image: undefined }) ?? "", /--image/u);
  assert.match(saysWhen(undefined), /NIKA_PUBLIC_URL/u);
  assert.match(saysWhen({ url: "https://nika.example.org", vaultUrl: "http://127.0.0.1:2" }), /NIKA_QDRANT_URL/u);
});

test("a Convex of one's own at loopback is reached by workers of this machine and by no other, and that is said before one is rented", () => {
  const beside = machineWorkers({ ...there, convexUrl: "http://127.0.0.1:3210" });
  assert.match(beside.problem(container) ?? "", /NIKA_CONVEX_PUBLIC_URL/u);
  assert.match(beside.problem({ provider: "ssh", form: "machine" }) ?? "", /NIKA_CONVEX_PUBLIC_URL/u);
  assert.equal(beside.problem({ provider: "local", form: "host" }), undefined);
  const elsewhere = machineWorkers({ ...there, convexUrl: "https://convex.example.org" });
  assert.equal(elsewhere.problem(container), undefined);
});

test("a bare machine is asked for once Nika is packed for it, and is told to unpack and join, with no secret among its words", async () => {
  let fails = true;
  const parcel = async (): Promise<string> => {
    if (fails) throw new NikaError("full", "There is no room to pack Nika.");
    return "aparcel";
  };
  const workers = machineWorkers({ ...there, parcel });
  const machine = { provider: "aws", form: "machine" } as const;
  if (process.arch !== "x64") return assert.match(workers.problem(machine) ?? "", /x64/u);
  assert.match(workers.problem(machine) ?? "", /is being packed/u);
  await setImmediate();
  assert.match(workers.problem(machine) ?? "", /no room/u);
  await setImmediate();
  fails = false;
  workers.problem(machine);
  await setImmediate();
  assert.equal(workers.problem(machine), undefined);

  const offer = machine as unknown as Offer;
  const order = await workers.order({ machineId: "m" as Id<"machines">, offer });
  assert.equal(order.parcel, "aparcel");
  assert.deepEqual(order.command.slice(-2), ["https://nika.example.org", "rented"]);
  assert.equal(order.environment["NIKA_QDRANT_URL"], "https://vault.example.org");
  const secret = order.environment["NIKA_WORKER_TOKEN"] ?? "";
  assert.match(secret, /^nkw_/u);
  assert.ok(!order.command.join(" ").includes(secret) && !order.command.join(" ").includes("of the vault"));
});
