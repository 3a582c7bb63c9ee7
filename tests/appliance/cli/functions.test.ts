/** The commands that look behind the screens, against a real appliance. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { placeIn, sentenceIn } from "../../../appliance/cli/functionError.ts";
import type { LogEntry } from "../../../appliance/cli/logs.ts";
import { rowLines } from "../../../appliance/cli/data.ts";
import { collector } from "../engine/served.ts";
import { entry, nika, type Ran } from "./command.ts";
import { scratchDir } from "./scratch.ts";

after(() => run("stop"));
const data = join(scratchDir(), "data");
const run = (...words: string[]): Promise<Ran> => nika([...words, "--data", data]);

before(async () => {
  assert.equal((await run("up", "--port", "0", "--no-link")).code, 0);
});

/** A command that goes on until it is interrupted, and what it has printed. */
async function following(
  words: string[],
  body: (until: (isGood: (line: string) => boolean) => Promise<string>) => Promise<void>,
) {
  const child = spawn(process.execPath, [entry, ...words, "--follow", "--data", data], {
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((done) => child.once("exit", done));
  const lines = collector<string>();
  createInterface(child.stdout).on("line", lines.push);
  await body(lines.until);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
}

test("a function is called by name, as the owner", async () => {
  const settings = await run("run", "settings:set", '{"theme": "dark"}');
  assert.deepEqual([settings.code, settings.stderr], [0, ""]);
  const read = await run("run", "settings:get", "--json");
  assert.equal((JSON.parse(read.stdout) as { theme: string }).theme, "dark");
});

test("a call that fails is one sentence on stderr, and an exit code that says why", async () => {
  assert.deepEqual(await run("run", "settings:nope"), {
    code: 66,
    stdout: "",
    stderr: "nika: settings:nope failed: Could not find function for 'settings:nope'.\n",
  });
  const wrong = await run("run", "settings:set", '{"theme": "plaid"}');
  assert.deepEqual([wrong.code, wrong.stdout], [65, ""]);
  assert.match(wrong.stderr, /^nika: settings:set failed: ArgumentValidationError: .*\n$/);
  assert.equal((await run("run", "settings:set", "{theme")).code, 65);
});

test("the log has each run, and goes on with what comes", async () => {
  const { stdout } = await run("logs", "--json", "--limit", "1000");
  const entries = JSON.parse(stdout) as LogEntry[];
  assert.ok(entries.some((one) => one.identifier === "settings:set" && one.error));
  assert.ok(entries.every((one) => !one.identifier.startsWith("_system/")));
  assert.doesNotMatch(stdout, /plaid/);
  await following(["logs", "--limit", "1"], async (until) => {
    await until(() => true);
    await run("run", "settings:set", '{"theme": "light"}');
    await until((line) => /^\d\d:\d\d:\d\d {2}mutation +[\d.]+ ms {2}settings:set$/.test(line));
  });
});

test("tables are listed with their rows, and a table's rows come live", async () => {
  const tables = JSON.parse((await run("data", "--json")).stdout) as { table: string; rows: number }[];
  assert.equal(tables.find((one) => one.table === "settings")?.rows, 1);
  assert.deepEqual(await run("data", "nothing"), {
    code: 66,
    stdout: "",
    stderr: 'nika: There is no table "nothing"; `nika data` lists them.\n',
  });
  await following(["data", "settings", "--json"], async (until) => {
    await until((line) => line.includes('"theme":"light"'));
    await run("run", "settings:set", '{"theme": "auto"}');
    await until((line) => line.includes('"theme":"auto"'));
  });
});

test("an error is told by its sentence and its place in the app", () => {
  const message =
    "[Request ID: 0123456789abcdef] Server Error\nUncaught TypeError: x is not\na function\n    at pick (../convex/model/pick.ts:3:1)\n    at handler (../convex/a.ts:9:1)";
  assert.equal(sentenceIn(message), "TypeError: x is not a function");
  assert.equal(placeIn(message), "convex/model/pick.ts:3");
  assert.equal(placeIn("Uncaught Error: no"), undefined);
});

test("a row is shown on one line, without what a terminal would obey", () => {
  const row = { _id: "k1", _creationTime: 1_000, text: "a\u001B[2J\nb".repeat(20) };
  const [line = ""] = rowLines([row], 61_000, 60);
  assert.match(line, /^k1 {2}\S+.* ago {2}\{"text":"a/);
  assert.ok(line.length <= 60);
});
