import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Answer } from "../../../convex/model/answer.ts";
import { openApplianceFake } from "./applianceFake.ts";
import { nika, type Ran } from "./command.ts";
import { scratchDir } from "./scratch.ts";

const data = join(scratchDir(), "data");

/** One sentence on stderr, nothing on stdout, no trace of how it came about. */
function assertSentence(ran: Ran, code: number, sentence: RegExp): void {
  assert.equal(ran.stdout, "");
  assert.match(ran.stderr, sentence);
  assert.match(ran.stderr, /^nika: [^\n]+[.?!]\n$/);
  assert.doesNotMatch(ran.stderr, /\n\s+at |\.ts:/);
  assert.equal(ran.code, code);
}

test("help lists every command in its group, on lines that fit a terminal", async () => {
  const { code, stdout, stderr } = await nika(["--help"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  const commands = ["up", "stop", "link", "ingest", "ask", "documents", "forget", "status", "jobs", "doctor", "version"];
  for (const command of commands) assert.match(stdout, new RegExp(`^  ${command}\\b.* {2}\\S`, "m"), command);
  for (const group of ["Run:", "Documents:", "Look after it:", "Examples:"]) assert.ok(stdout.includes(`\n${group}\n`), group);
  // What the machine's cron does is upkeep, not one of the owner's functions.
  assert.ok(stdout.indexOf("\n  host ") > stdout.indexOf("\nLook after it:\n"));
  assert.ok(stdout.split("\n").every((line) => line.length <= 110));
  assert.equal((await nika([])).stdout, stdout);
});

test("each command has its own help", async () => {
  const ingest = await nika(["ingest", "--help"]);
  assert.equal(ingest.code, 0);
  for (const flag of ["--wait", "--strict", "--json", "--data"]) assert.ok(ingest.stdout.includes(flag), flag);
});

test("the version is told both ways", async () => {
  assert.match((await nika(["version"])).stdout, /^nika \d+\.\d+\.\d+ \(node v\d+/);
  assert.match((await nika(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test("a mistake on the command line is one sentence and 64", async () => {
  assertSentence(await nika(["up", "--prot", "1"]), 64, /unknown option '--prot' \(Did you mean --port\?\)/);
  assertSentence(await nika(["statsu"]), 64, /unknown command 'statsu' \(Did you mean status\?\)/);
  assertSentence(await nika(["up", "--port", "many"]), 64, /number from 0 to 65535/);
  assertSentence(await nika(["ask"]), 64, /missing required argument/);
  assertSentence(await nika(["ask", "x", "--limit", "51"]), 64, /from 1 to 50/);
  assertSentence(await nika(["documents", "--state", "lost"]), 64, /Allowed choices are waiting/);
  assertSentence(await nika(["jobs", "--watch", "--json"]), 64, /cannot be used with/);
});

test("without an appliance each command says how to start one", async () => {
  const commands = [["ask", "what?"], ["documents"], ["forget", "a.md", "--yes"], ["jobs"], ["link"], ["status"]];
  for (const ran of await Promise.all(commands.map((words) => nika([...words, "--data", data])))) {
    assertSentence(ran, 69, /not running; start it with `nika up`/);
  }
});

test("stopping what does not run is fine", async () => {
  assert.deepEqual(await nika(["stop", "--data", data]), {
    code: 0,
    stdout: "Nika is not running; nothing to stop.\n",
    stderr: "",
  });
});

test("a status in JSON is an answer even when nothing runs", async () => {
  const { code, stdout } = await nika(["status", "--json", "--data", data]);
  assert.equal(code, 69);
  assert.deepEqual(JSON.parse(stdout), { isRunning: false, dataDir: data });
});

test("a path with nothing at it is 66, before anything else is looked at", async () => {
  assertSentence(await nika(["ingest", "/no/such/place", "--data", data]), 66, /nothing at "\/no\/such\/place"/);
});

test("a wrong environment is named", async () => {
  assertSentence(await nika(["up"], { env: { NIKA_PORT: "many" } }), 65, /NIKA_PORT must be a port number/);
});

test("a data directory that is a file is said to be one", async () => {
  const file = join(scratchDir(), "file");
  writeFileSync(file, "");
  assertSentence(await nika(["up", "--data", file]), 65, /a file where a folder should be/);
});

test("the data directory comes from the flag, before or after the command, or from the environment", async () => {
  const dirs = await Promise.all([
    nika(["--data", data, "status", "--json"]),
    nika(["status", "--json", "--data", data]),
    nika(["status", "--json"], { env: { NIKA_DATA: data } }),
    nika(["status", "--json"], { env: { HOME: "/home/someone" } }),
  ]);
  assert.deepEqual(
    dirs.map(({ stdout }) => (JSON.parse(stdout) as { dataDir: string }).dataDir),
    [data, data, data, "/home/someone/.nika/data"],
  );
});

const answer: Answer = {
  question: "when does it end?",
  language: "en",
  passages: [
    {
      documentId: "d1",
      documentName: "lease.md",
      title: "Lease",
      ordinal: 2,
      text: "It ends in June.",
      place: { lines: { from: 3, to: 3 } },
      placeLabel: "line 3",
      score: 0.9,
      highlights: [{ from: 0, to: 16 }],
    },
  ],
  understood: { filter: {}, phrases: [], codes: [], corrections: [] },
  embedder: { id: "e", label: "A model", isBaseline: false },
  tookMs: 3,
};

test("asking prints the cited passages as plain lines, and with --json the answer as it came", async () => {
  await using appliance = await openApplianceFake(() => answer);
  const plain = await nika(["ask", "when", "does it end?", "--data", appliance.dataDir]);
  assert.deepEqual(plain, { code: 0, stdout: "1. lease.md · line 3\n   «It ends in June.»\n\n3 ms · A model\n", stderr: "" });
  const json = await nika(["ask", "when does it end?", "--limit", "7", "--json", "--data", appliance.dataDir]);
  assert.deepEqual(JSON.parse(json.stdout), answer);
  assert.deepEqual(appliance.asked, [
    { question: "when does it end?", limit: 5 },
    { question: "when does it end?", limit: 7 },
  ]);
});

test("what the appliance refuses is its sentence and the code's exit", async () => {
  await using appliance = await openApplianceFake((question) =>
    question === "html?"
      ? { status: 502, body: "<html>bad gateway" }
      : { status: 503, body: JSON.stringify({ code: "unavailable", message: "The vectors do not answer." }) },
  );
  assertSentence(await nika(["ask", "x?", "--data", appliance.dataDir]), 69, /^nika: The vectors do not answer\.$/m);
  assertSentence(await nika(["ask", "html?", "--data", appliance.dataDir]), 69, /unexpected status 502/);
  assertSentence(await nika(["ask", "  ", "--data", appliance.dataDir]), 65, /Ask something/);
  const debug = await nika(["ask", "html?", "--data", appliance.dataDir], { env: { NIKA_DEBUG: "1" } });
  assert.match(debug.stderr, /cause: <html>bad gateway/);
});

test("a link is printed for people and as JSON for scripts", async () => {
  await using appliance = await openApplianceFake(() => answer);
  assert.match(
    (await nika(["link", "--data", appliance.dataDir])).stdout,
    /works once, for 10 min:\n\n {2}http:\/\/127\.0\.0\.1:\d+\/#link=once\n$/,
  );
  const json = JSON.parse((await nika(["link", "--json", "--data", appliance.dataDir])).stdout) as { url: string };
  assert.equal(json.url, `${appliance.url}/#link=once`);
});

test("starting what runs already says so and gives a fresh link", async () => {
  await using appliance = await openApplianceFake(() => answer);
  const { code, stdout } = await nika(["up", "--data", appliance.dataDir]);
  assert.equal(code, 0);
  assert.match(stdout, /^Nika is already running at http:\/\/127\.0\.0\.1:\d+ \(pid \d+\)\.\n/);
  assert.match(stdout, /#link=once/);
  assert.doesNotMatch((await nika(["up", "--no-link", "--data", appliance.dataDir])).stdout, /#link/);
});

test("the doctor looks at everything without an appliance, and says what to do", async () => {
  const dir = join(scratchDir(), "data");
  mkdirSync(dir);
  const { code, stdout, stderr } = await nika(["doctor", "--port", "0", "--json", "--data", dir]);
  assert.equal(stderr, "");
  const checks = JSON.parse(stdout) as { name: string; level: string; text: string; advice?: string }[];
  assert.deepEqual(
    checks.map(({ name }) => name),
    ["Node", "Data", "Clock", "Memory", "Port", "State", "Search", "Vectors", "Embedder", "Docker", "Sandbox"],
  );
  const state = checks.find(({ name }) => name === "State");
  assert.deepEqual([state?.level, state?.advice], ["warn", "Start it with `nika up`."]);
  assert.equal(code, checks.some(({ level }) => level === "fail") ? 1 : 0);
});

test("the doctor fails on a data directory it cannot write", async () => {
  const { code, stdout } = await nika(["doctor", "--port", "0", "--data", "/dev/null/data"]);
  assert.equal(code, 1);
  assert.match(stdout, /^fail {2}Data {6}\/dev\/null\/data cannot be written\n +→ /m);
});
