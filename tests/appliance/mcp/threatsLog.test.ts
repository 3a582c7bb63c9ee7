/** What is written down, and who may have had a hand in it: CoSAI category 12, sums over the log, and answers from recordings. */
import assert from "node:assert/strict";
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { acceptedType, openLedger, verifyLedger } from "../../../appliance/mcp/log/ledger.ts";
import { openRecordings, readRecording } from "../../../appliance/mcp/log/recordings.ts";
import { openReplay } from "../../../appliance/mcp/log/replay.ts";
import { readStats } from "../../../appliance/mcp/log/stats.ts";
import { call, textOf, withEvil, type Said } from "./evil.ts";

const event = { type: "call", server: "s", tool: "t", by: "owner", ms: 1 };
const withLog = async (
  work: (log: { dir: string; keysDir: string; life: (events: number) => Promise<void> }) => Promise<void>,
) => {
  const root = mkdtempSync(join(tmpdir(), "nika-log-"));
  const [dir, keysDir] = [join(root, "events"), join(root, "keys")];
  const life = async (events: number): Promise<void> => {
    const ledger = openLedger(dir, { now: () => Date.now(), log: () => undefined, keysDir });
    for (let at = 0; at < events; at++) ledger.append(event);
    await ledger.close();
  };
  try {
    await work({ dir, keysDir, life });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};
const fileIn = (dir: string): string => join(dir, "events-000001.jsonl");
const cut = (dir: string, lines: number): void => {
  const all = readFileSync(fileIn(dir), "utf8").trimEnd().split("\n");
  writeFileSync(
    fileIn(dir),
    all
      .slice(0, -lines)
      .map((line) => `${line}\n`)
      .join(""),
  );
};

test("T12: an end that was cut off while nobody ran is missed, and stays missed after a restart", () =>
  withLog(async ({ dir, keysDir, life }) => {
    await life(5);
    const whole = await verifyLedger(dir, [], keysDir);
    assert.deepEqual([whole.problem, whole.events, whole.signed?.seq], [undefined, 5, 5]);
    cut(dir, 2);
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /end is missing: there were 5 events, and 3 are here/);
    await life(4);
    const later = await verifyLedger(dir, [], keysDir);
    assert.match(later.problem ?? "", /signed head says that there were 5 events, and 3 were here/);
    // The owner knows why.
    const ledger = openLedger(dir, { now: () => Date.now(), log: () => undefined, keysDir });
    ledger.append({ type: acceptedType, by: "owner" });
    await ledger.close();
    assert.equal((await verifyLedger(dir, [], keysDir)).problem, undefined);
  }));

test("T12: a log written anew with all its hashes right is not the one that was signed", () =>
  withLog(async ({ dir, keysDir, life }) => {
    await life(3);
    const head = readFileSync(join(dir, "head.json"), "utf8");
    await withLog(async (other) => {
      await other.life(3);
      cpSync(fileIn(other.dir), fileIn(dir));
    });
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /Event 3 is not the one that was written/);
    writeFileSync(join(dir, "head.json"), head.replace('"seq":3', '"seq":2'));
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /not one of ours/);
    rmSync(join(dir, "head.json"));
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /head of the log is gone/);
    await life(1);
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /head of the log is gone/);
  }));

test("T12: who remembers a head finds a log that was begun anew, key and all", () =>
  withLog(async ({ dir, keysDir, life }) => {
    await life(3);
    const { head } = await verifyLedger(dir);
    for (const gone of [dir, keysDir]) rmSync(gone, { recursive: true });
    await life(1);
    assert.equal((await verifyLedger(dir, [], keysDir)).problem, undefined);
    assert.match((await verifyLedger(dir, [head], keysDir)).problem ?? "", /there were 3 events, and 1 are here/);
    const ledger = openLedger(dir, { now: () => Date.now(), log: () => undefined, keysDir });
    ledger.expect(head, "The control plane");
    await ledger.close();
    assert.match((await verifyLedger(dir, [], keysDir)).problem ?? "", /control plane says that there were 3 events/);
  }));

test("T12: every call stands in the log whatever became of it, and the sums are theirs", () =>
  withEvil(async (place, { offer }) => {
    const tools = [{ name: "a", inputSchema: { type: "object", properties: { n: { type: "number" } } } }, { name: "fail" }];
    await place.configure({ one: { ...offer("one", { tools }), price: { a: 0.5, "*": 0.25 } } });
    await place.trust("one");
    for (let at = 0; at < 3; at++) await call(place, "mcp_one__a", { n: at });
    await call(place, "mcp_one__a", { n: "wrong" });
    await call(place, "mcp_one__fail").catch(() => undefined);
    const { all, tools: sums, callers, days } = await readStats(join(place.dir, "mcp", "events"), 0);
    assert.deepEqual([all.calls, all.errors, all.cost], [5, 2, 1.5]);
    assert.deepEqual(
      sums.map(({ name, calls, errors, cost }) => [name, calls, errors, cost]),
      [
        ["one.a", 4, 1, 1.5],
        ["one.fail", 1, 1, 0],
      ],
    );
    assert.deepEqual([callers[0]?.name, days.length], ["owner", 1]);
    assert.deepEqual((await readStats(join(place.dir, "mcp", "events"), Date.now() + 1)).all.calls, 0);
    appendFileSync(join(place.dir, "mcp", "events", "events-000001.jsonl"), "half a li");
    assert.equal((await readStats(join(place.dir, "mcp", "events"), 0)).all.calls, 5);
  }));

test("what was recorded is answered again without its server, by who asks with the same arguments, and says so", () =>
  withEvil(
    async (place, { offer }) => {
      const token = `ghp_${"a1".repeat(20)}`;
      const answers = { a: { content: [{ type: "text", text: `first Bearer ${token}` }] } };
      const server = offer("one", { tools: [{ name: "a" }, { name: "env" }], answers });
      await place.configure({
        one: { ...server, record: true, env: { API_KEY: "${secret:k}" } },
        two: offer("two", { tools: [{ name: "b" }] }),
      });
      await place.trust("one", "two");
      await call(place, "mcp_one__a", { n: 1, m: 2 });
      offer("one", { tools: [{ name: "a" }, { name: "env" }], answers: { a: { content: [{ type: "text", text: "second" }] } } });
      await call(place, "mcp_one__a", { m: 2, n: 1 });
      await call(place, "mcp_one__env", { note: "canary-canary" });
      await call(place, "mcp_two__b");
      const dir = join(place.dir, "mcp", "recordings");
      for (const file of readdirSync(dir)) assert.ok(readRecording(dir, file.replace(".json.gz", "")));
      const kept = readdirSync(dir).map((file) => JSON.stringify(readRecording(dir, file.replace(".json.gz", ""))));
      assert.equal(
        kept.some((text) => text.includes(token) || text.includes("canary-canary")),
        false,
      );
      const replay = await openReplay(place.dir, "one");
      assert.deepEqual([...replay.tools.keys()], ["mcp_one__a", "mcp_one__env"]);
      const said = [1, 2, 3].map(() => textOf(replay.answer("mcp_one__a", { n: 1, m: 2 }) as never));
      assert.deepEqual(said, ["first Bearer •••", "second", "second"]);
      assert.throws(() => replay.answer("mcp_two__b", {}), /Nothing was recorded/);
      // The same over a pipe, as `nika events replay` serves it.
      const program = `import { serveReplay } from ${JSON.stringify(join(import.meta.dirname, "../../../appliance/mcp/log/replay.ts"))};
await serveReplay({ dataDir: ${JSON.stringify(place.dir)}, version: "0", server: undefined, stdin: process.stdin, stdout: process.stdout, signal: new AbortController().signal });`;
      const client = new Client({ name: "t", version: "1" });
      await client.connect(new StdioClientTransport({ command: process.execPath, args: ["--input-type=module", "-e", program] }));
      assert.match(client.getInstructions() ?? "", /recorded/);
      assert.match((await client.listTools()).tools[0]?.description ?? "", /^\(recorded\)/);
      const again = (await client.callTool({ name: "mcp_one__a", arguments: { n: 1, m: 2 } })) as Said;
      assert.equal(textOf(again), "first Bearer •••");
      assert.ok(again._meta?.["nika/recorded"]);
      const unknown = (await client.callTool({ name: "mcp_one__a", arguments: { n: 9 } })) as Said;
      assert.deepEqual([unknown.isError, /only answers from recordings/.test(textOf(unknown))], [true, true]);
      await client.close();
    },
    { launch: { secret: () => Promise.resolve("canary-canary") } },
  ));

test("recordings make room for newer ones", () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-rec-"));
  try {
    const recordings = openRecordings({ dir, log: () => undefined, bytesMax: 20_000 });
    const names = Array.from({ length: 40 }, (_, at) =>
      recordings.keep({
        as: "a",
        server: "s",
        tool: { name: "a", inputSchema: {} },
        args: { at },
        result: {
          content: [{ type: "text", text: Array.from({ length: 300 }, (_unused, n) => (n * 7919 * (at + 1)) % 9973).join(" ") }],
        },
      }),
    );
    assert.equal(readRecording(dir, names[0] ?? ""), undefined);
    assert.deepEqual(readRecording(dir, names.at(-1) ?? "")?.args, { at: 39 });
    assert.ok(readdirSync(dir).length < 40);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
