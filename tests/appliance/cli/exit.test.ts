import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexError } from "convex/values";
import { NikaError } from "../../../convex/model/error.ts";
import { exitCodes, failureLines, toCliError, usageExit } from "../../../appliance/cli/exit.ts";

test("exit codes are the ones scripts were promised", () => {
  assert.deepEqual(exitCodes, {
    invalid: 65,
    unreadable: 65,
    missing: 66,
    unavailable: 69,
    timeout: 69,
    bug: 70,
    full: 73,
    conflict: 75,
    denied: 77,
    cancelled: 130,
  });
  assert.equal(usageExit, 64);
});

test("what the control plane refuses keeps its code and its sentence", () => {
  const error = toCliError(new ConvexError({ code: "denied", message: "Only the owner may." }));
  assert.equal(error.code, "denied");
  assert.equal(error.message, "Only the owner may.");
});

test("an appliance that went away is unavailable, a full disk is full, and the unknown is our bug", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  assert.equal(toCliError(new TypeError("fetch failed", { cause: refused })).code, "unavailable");
  assert.equal(toCliError(Object.assign(new Error(), { code: "ENOSPC", path: "/data" })).code, "full");
  assert.match(toCliError(Object.assign(new Error(), { code: "EACCES", path: "/data" })).message, /may not use \/data/);
  assert.equal(toCliError(new Error("surprise")).code, "bug");
  assert.equal(toCliError(undefined).code, "bug");
  const ours = new NikaError("full", "No room.");
  assert.equal(toCliError(ours), ours);
});

test("the owner reads one sentence, and whoever debugs reads the cause", () => {
  const error = toCliError(new Error("surprise"));
  assert.deepEqual(failureLines(error, false), ["nika: Something went wrong inside this command; NIKA_DEBUG=1 shows what."]);
  assert.match(failureLines(error, true).join("\n"), /cause: Error: surprise\n/);
});
