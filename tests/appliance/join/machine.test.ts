import assert from "node:assert/strict";
import { test } from "node:test";
import { machineWorkers, type MachineWorkersOptions } from "../../../appliance/join/machine.ts";
import type { State } from "../../../functions/ports/state.ts";

const state = {} as State;
const there: MachineWorkersOptions = {
  state,
  ownUrl: () => "http://127.0.0.1:1",
  publicUrl: "https://nika.example.org",
  vault: { url: "https://vault.example.org" },
};
const rented = { provider: "runpod", form: "container", image: "nika:1" } as const;

test("a process of this machine can always work; one elsewhere needs an image, an address of ours, and the vault within reach", () => {
  const alone: MachineWorkersOptions = { ...there, publicUrl: undefined, vault: { url: "http://127.0.0.1:2" } };
  assert.equal(machineWorkers(alone).problem({ provider: "local", form: "host" }), undefined);
  assert.equal(machineWorkers(there).problem(rented), undefined);
  assert.match(machineWorkers(there).problem({ ...rented, image: undefined }) ?? "", /--image/);
  assert.match(machineWorkers({ ...there, publicUrl: undefined }).problem(rented) ?? "", /NIKA_PUBLIC_URL/);
  assert.match(machineWorkers({ ...there, vault: alone.vault }).problem(rented) ?? "", /NIKA_QDRANT_URL/);
  assert.match(machineWorkers(there).problem({ ...rented, form: "machine" }) ?? "", /bare machines/);
});
