import assert from "node:assert/strict";
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { api } from "../../../convex/_generated/api.js";
import { noSandboxes, openPlace, outputOf, processSandboxes } from "./place.ts";

const double =
  "export default async (input: { n: number }, ctx) => { console.log('got', input.n); return { twice: input.n * 2 }; };";

test("a file put into the folder answers, keeps its sandbox warm, and its console is its log", async () => {
  await using place = await openPlace();
  place.write("double", double);
  const f = await place.until("double", ({ state }) => state === "serving");
  assert.deepEqual([f.isBare, f.manifest?.egress, f.manifest?.memoryMiB], [false, [], 256]);
  let log = "";
  assert.deepEqual(outputOf(await place.call("double", { n: 21 }, { log: (text) => (log += text) })), { twice: 42 });
  assert.equal(log, "got 21\n");
  const warm = await place.call("double", { n: 1 });
  assert(warm.type === "done");
  assert.equal(warm.facts.coldMs, undefined);
  assert.equal(place.opened.length, 1);
  const [spec] = place.opened;
  assert.deepEqual([spec?.egress, spec?.environment, spec?.runtime], [[], {}, "auto"]);
});

test("a function in Python answers, and what it prints is its log", async () => {
  await using place = await openPlace();
  place.write("count", {
    "main.py":
      "from other import plus\ndef handler(input, ctx):\n    print('attempt', ctx.attempt)\n    return {'n': plus(input['n'])}\n",
    "other.py": "def plus(n):\n    return n + 1\n",
  });
  await place.until("count", ({ state }) => state === "serving");
  let log = "";
  assert.deepEqual(outputOf(await place.call("count", { n: 1 }, { log: (text) => (log += text) })), { n: 2 });
  assert.equal(log, "attempt 1\n");
});

test("an edit takes over under calls, and none of them is lost", async () => {
  await using place = await openPlace();
  const version = (n: number): string =>
    `export default async (input) => { await new Promise((done) => setTimeout(done, 30)); return { v: ${n}, i: input }; };`;
  place.write("steady", version(1));
  const first = await place.until("steady", ({ state }) => state === "serving");
  const answers: Promise<unknown>[] = [];
  for (let i = 0; i < 60; i++) {
    answers.push(place.call("steady", i).then(outputOf));
    if (i === 20) place.write("steady", version(2));
    await new Promise((done) => setTimeout(done, 10));
  }
  await place.until("steady", (f) => f.version !== undefined && f.version !== first.version);
  answers.push(place.call("steady", 60).then(outputOf));
  const all = (await Promise.all(answers)) as { v: number; i: number }[];
  assert.deepEqual(
    all.map(({ i }) => i),
    Array.from({ length: 61 }, (_, i) => i),
  );
  assert.equal(all.at(-1)?.v, 2);
});

test("a function whose sandboxes end with their calls keeps the files that the next one needs", async () => {
  await using place = await openPlace();
  const code =
    "import { readFileSync } from 'node:fs'; export default () => readFileSync(import.meta.filename, 'utf8').length > 0;";
  for (const n of [1, 2, 1]) {
    place.write("brief", { "index.ts": `${code} // ${n}`, "function.json": '{"idleMs":0}' });
    const sources = new Set(place.opened.map(({ name }) => name));
    await place.until("brief", ({ state }) => state === "serving");
    await place.owned.look();
    for (let i = 0; i < 3; i++) {
      assert.equal(outputOf(await place.call("brief")), true);
      await new Promise((done) => setTimeout(done, 40));
    }
    assert(place.opened.length > sources.size);
  }
});

test("a broken edit leaves the old version serving and says why, also after a restart", async () => {
  await using place = await openPlace();
  place.write("sum", "export default async () => 1;");
  const good = await place.until("sum", ({ state }) => state === "serving");
  place.write("sum", "export default async () => {{{ 2;");
  const broken = await place.until("sum", ({ problem }) => problem !== undefined);
  assert.deepEqual([broken.state, broken.version], ["serving", good.version]);
  assert.match(broken.problem ?? "", /index\.ts/);
  assert.equal(outputOf(await place.call("sum")), 1);
  place.write("sum", "import './nowhere.ts'; export default async () => 2;");
  await place.until("sum", ({ problem }) => /cannot be loaded.*nowhere/u.test(problem ?? ""));
  await place.reopen();
  assert.equal(outputOf(await place.call("sum")), 1);
  place.write("sum", "export default async () => 3;");
  const mended = await place.until("sum", ({ version, problem }) => version !== good.version && problem === undefined);
  assert.equal(mended.state, "serving");
  assert.equal(outputOf(await place.call("sum")), 3);
});

test("a manifest that makes no sense is a sentence, not a function", async () => {
  await using place = await openPlace();
  place.write("wide", { "index.ts": "export default () => 1;", "function.json": '{"egress":["*"]}' });
  const wide = await place.until("wide", ({ state }) => state === "broken");
  assert.match(wide.problem ?? "", /"egress" lists "\*"; it must be a host and a port/);
  await assert.rejects(place.call("wide"), { code: "invalid" });
  assert.equal(place.opened.length, 0);
});

test("a link in a function's folder is refused, for it could bring any file into the sandbox", async () => {
  await using place = await openPlace();
  place.write("sly", { "function.json": "{}" });
  symlinkSync("/etc/passwd", join(place.dataDir, "functions/sly/index.ts"));
  const sly = await place.until("sly", ({ problem }) => problem !== undefined);
  assert.match(sly.problem ?? "", /holds index\.ts, which is a link/);
});

test("what is taken out of the folder answers no more, and its runs are forgotten", async () => {
  await using place = await openPlace();
  place.write("gone", "export default () => 1;");
  await place.until("gone", ({ state }) => state === "serving");
  rmSync(join(place.dataDir, "functions/gone.ts"));
  await new Promise<void>((done, fail) => {
    const stop = place.state.owner.watch(
      api.functions.list,
      {},
      (all) => {
        if (all.length > 0) return;
        queueMicrotask(() => stop());
        done();
      },
      fail,
    );
  });
  await assert.rejects(place.call("gone"), { code: "missing" });
});

test("a call over its time is ended with its sandbox, and the next one gets a fresh one", async () => {
  await using place = await openPlace();
  place.write("slow", {
    "index.ts": "let n = 0; export default async (input) => { if (input) for (;;); return (n += 1); };",
    "function.json": '{"limits":{"timeLimitMs":300}}',
  });
  await place.until("slow", ({ state }) => state === "serving");
  assert.equal(outputOf(await place.call("slow", false)), 1);
  const late = await place.call("slow", true);
  assert(late.type === "failed");
  assert.deepEqual([late.code, late.retry], ["timeout", true]);
  assert.equal(outputOf(await place.call("slow", false)), 1);
  assert.equal(place.opened.length, 2);
});

test("who cancels is heard inside, and a function that does not listen is ended", async () => {
  await using place = await openPlace();
  place.write(
    "stubborn",
    "export default async (input, ctx) => { ctx.log('in'); if (input) for (;;); await new Promise((_, no) => ctx.signal.addEventListener('abort', () => no(ctx.signal.reason))); };",
  );
  await place.until("stubborn", ({ state }) => state === "serving");
  for (const input of [false, true]) {
    const stop = new AbortController();
    const ended = place.call("stubborn", input, { signal: stop.signal, log: () => stop.abort() });
    await assert.rejects(ended, { code: "cancelled" });
  }
});

for (const [what, code, expected] of [
  [
    "writes garbage to its answers",
    "import { writeSync } from 'node:fs'; export default () => { writeSync(1, 'hello\\n'); };",
    /wrote to its own answers/,
  ],
  [
    "answers for another call",
    "import { writeSync } from 'node:fs'; export default async () => { writeSync(1, JSON.stringify({type:'result',id:999,output:'1'})+'\\n'); throw new Error('own'); };",
    /^Error: own$/,
  ],
  [
    "answers what is no JSON",
    "import { writeSync } from 'node:fs'; export default async () => { writeSync(1, JSON.stringify({type:'result',id:1,output:'{'})+'\\n'); await new Promise(() => setInterval(() => {}, 999)); };",
    /wrote to its own answers/,
  ],
  [
    "never ends a line",
    "import { writeSync } from 'node:fs'; export default () => { for (;;) writeSync(1, 'x'.repeat(65536)); };",
    /wrote to its own answers|said more than it may/,
  ],
  ["floods its log", "export default () => { for (;;) console.log('y'.repeat(1000)); };", /said more than it may/],
  ["ends its own process", "export default () => process.exit(7);", /ended its own process \(exit code 7\)/],
  [
    "throws where nobody waits",
    "export default () => new Promise(() => setTimeout(() => { throw new Error('later'); }, 5));",
    /later/,
  ],
  ["returns too much", "export default () => 'z'.repeat(2_000_000);", /larger than 1024 KB/],
] as const) {
  test(`a function that ${what} fails by itself, and the one beside it goes on`, async () => {
    await using place = await openPlace();
    place.write("bad", code);
    place.write("good", "export default () => 'fine';");
    await Promise.all(["bad", "good"].map((name) => place.until(name, ({ state }) => state === "serving")));
    let logged = 0;
    const [reply, good] = await Promise.all([
      place.call("bad", null, { log: (text) => (logged += text.length) }),
      place.call("good"),
    ]);
    assert(reply.type === "failed", JSON.stringify(reply));
    assert.match(reply.message, expected);
    assert.equal(outputOf(good), "fine");
    assert(logged < 20_000_000);
  });
}

test("warm sandboxes stay within their memory: the one idle longest makes room", async () => {
  await using place = await openPlace({ sandboxes: processSandboxes, memoryMiBMax: 600 });
  for (const name of ["one", "two", "three"]) {
    place.write(name, `export default () => '${name}';`);
    await place.until(name, ({ state }) => state === "serving");
  }
  for (const name of ["one", "two", "three", "one"]) assert.equal(outputOf(await place.call(name)), name);
});

test("calls beside each other have a sandbox each, up to what the manifest allows; the others wait", async () => {
  await using place = await openPlace();
  place.write("wide", {
    "index.ts":
      "let now = 0; export default async () => { now += 1; await new Promise((d) => setTimeout(d, 50)); const seen = now; now -= 1; return seen; };",
    "function.json": '{"concurrency":2}',
  });
  await place.until("wide", ({ state }) => state === "serving");
  const seen = await Promise.all(Array.from({ length: 6 }, () => place.call("wide").then(outputOf)));
  assert.deepEqual(seen, [1, 1, 1, 1, 1, 1]);
  assert.equal(place.opened.length, 2);
});

test("without anything to hold it in a function is refused, until the owner allows it by name", async () => {
  await using place = await openPlace({ sandboxes: noSandboxes });
  place.write(
    "bare",
    "import { readFileSync } from 'node:fs'; export default (path) => { try { return readFileSync(path, 'utf8').length; } catch (e) { return e.code + Object.keys(process.env).length; } };",
  );
  const refused = await place.until("bare", ({ state }) => state === "refused");
  assert.match(refused.problem ?? "", /nika functions allow bare --bare/);
  await assert.rejects(place.call("bare"), { code: "denied" });
  await place.state.owner.mutation(api.functions.allow, { name: "bare", isBare: true });
  const f = await place.until("bare", ({ state }) => state === "serving");
  assert.equal(f.isBare, true);
  const reply = await place.call("bare", "/etc/hostname");
  assert.equal(outputOf(reply), "ERR_ACCESS_DENIED0");
  assert.equal(reply.facts?.isBare, true);
  await place.state.owner.mutation(api.functions.allow, { name: "bare", isBare: false });
  await place.until("bare", ({ state }) => state === "refused");
  await assert.rejects(place.call("bare"), { code: "denied" });
});

test("the schedule of a manifest is asked for, and taken back with the function", async () => {
  await using place = await openPlace();
  place.write("daily", { "index.ts": "export default () => 1;", "function.json": '{"schedule":"every day at 7"}' });
  await place.until("daily", ({ state }) => state === "serving");
  assert.equal(place.declared.get("daily"), "every day at 7");
  await place.owned.remove("daily");
  assert.equal(place.declared.has("daily"), false);
});

test("a function written while the last look ends is looked at, and not minutes later", { timeout: 60_000 }, async () => {
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using place = await openPlace({
    sandboxes: (opened) => ({
      ...processSandboxes(opened),
      async open(spec, signal) {
        if (!spec.name.includes("slow")) return processSandboxes(opened).open(spec, signal);
        begun.resolve();
        await held.promise;
        throw new Error("this one never opens");
      },
    }),
  });
  place.write("slow", double);
  await begun.promise;
  place.write("next", double);
  // Long enough for the system to tell of the file, and less than the moment of quiet that is waited for.
  await new Promise((resolve) => setTimeout(resolve, 40));
  held.resolve();
  await place.until("next", ({ state }) => state === "serving");
});
