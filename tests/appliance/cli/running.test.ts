import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findRun, isAlive } from "../../../appliance/cli/running.ts";
import { scratchDir } from "./scratch.ts";

const ended = spawnSync(process.execPath, ["-e", ""]).pid;

function dataWith(runFile: string): string {
  const dir = scratchDir();
  writeFileSync(join(dir, "run.json"), runFile);
  return dir;
}

test("an appliance is found by the file it leaves while it runs", () => {
  const dir = dataWith(JSON.stringify({ pid: process.pid, port: 7, url: "https://nika.example/", version: "1", startedAt: 5 }));
  assert.deepEqual(findRun(dir), {
    pid: process.pid,
    port: 7,
    url: "https://nika.example",
    localUrl: "http://127.0.0.1:7",
    version: "1",
    startedAt: 5,
  });
});

test("what a crash left behind counts as not running", () => {
  assert.equal(findRun(dataWith(JSON.stringify({ pid: ended, url: "http://127.0.0.1:7" }))), undefined);
  assert.equal(findRun(dataWith('{"pid": 1')), undefined);
  assert.equal(findRun(dataWith("{}")), undefined);
  assert.equal(findRun(scratchDir()), undefined);
  assert.equal(findRun("/no/such/place"), undefined);
});

test("a process that ended is not alive, this one is", () => {
  assert.equal(isAlive(ended), false);
  assert.equal(isAlive(process.pid), true);
});
