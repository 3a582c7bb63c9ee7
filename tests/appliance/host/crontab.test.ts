import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { blockIn, driftOf, openCrontab, withBlock } from "../../../appliance/host/crontab.ts";
import { openHostSchedules } from "../../../appliance/host/hostSchedules.ts";
import { runHostJob, writeJob, type HostRun } from "../../../appliance/host/hostRun.ts";
import type { ScheduleView } from "../../../convex/model/schedule.ts";

const theirs = "MAILTO=me@example.org\n# my own\n0 1 * * * /usr/bin/true\n";
const now = Date.parse("2026-11-21T09:00:00Z");

let dir: string;
const path = process.env["PATH"] ?? "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nika-cron-"));
});
afterEach(() => {
  process.env["PATH"] = path;
  rmSync(dir, { recursive: true, force: true });
});

/** A `crontab` that keeps its table in a file, as the real one does; `code` makes it refuse. */
function installCrontab(table?: string, code = 0): string {
  const file = join(dir, "table");
  if (table !== undefined) writeFileSync(file, table);
  const script = join(dir, "crontab");
  writeFileSync(
    script,
    `#!/bin/sh\n[ ${code} = 0 ] || { echo "you are not allowed" >&2; exit ${code}; }\n` +
      `case "$*" in *-l) [ -f "${file}" ] || { echo "no crontab for me" >&2; exit 1; }; cat "${file}";; *-) cat > "${file}";; esac\n`,
  );
  chmodSync(script, 0o755);
  process.env["PATH"] = `${dir}${delimiter}${path}`;
  return file;
}

const schedule = (changes: Partial<ScheduleView> = {}): ScheduleView =>
  ({
    id: "abcdefgh12345678",
    name: "backup",
    prompt: "",
    rule: { type: "calendar", zone: "UTC", times: ["02:00"], days: { type: "every" } },
    action: { type: "upkeep", script: "backup" },
    backend: "host",
    overlap: "skip",
    misfire: "coalesce",
    isEnabled: true,
    version: 1,
    nextAts: [now + 1],
    fired: 0,
    createdAt: now,
    ...changes,
  }) as ScheduleView;

const open = () =>
  openHostSchedules({
    dataDir: join(dir, "my data"),
    crontab: openCrontab({ user: undefined }),
    zone: "UTC",
    now: () => now,
    nika: ["/usr/bin/node", "/opt/nika.ts", "--data", join(dir, "my data")],
  });

test("Nika's lines stand in a block of their own, and what is outside of it stays byte for byte", async () => {
  const file = installCrontab(theirs);
  const host = open();
  await host.sync([schedule()]);
  const written = readFileSync(file, "utf8");
  assert.ok(written.startsWith(theirs));
  assert.match(
    written,
    /\n0 2 \* \* \* \/usr\/bin\/node \/opt\/nika\.ts --data '.*my data' host run abcdefgh12345678\n# <<< nika/u,
  );
  await host.sync([schedule()]);
  assert.equal(readFileSync(file, "utf8"), written, "again is the same");
  await host.sync([schedule({ isEnabled: false })]);
  assert.equal(readFileSync(file, "utf8"), theirs);
});

test("without a crontab one is begun, and nothing is written while there is nothing to write", async () => {
  const file = installCrontab();
  await open().sync([]);
  assert.equal(existsSync(file), false);
  await open().sync([schedule()]);
  assert.equal(readFileSync(file, "utf8").split("\n").length, 4);
});

test("a crontab that somebody changed is told, and put right on request", async () => {
  const file = installCrontab(theirs);
  const host = open();
  await host.sync([schedule()]);
  const right = readFileSync(file, "utf8");
  writeFileSync(file, right.replace("0 2 * * *", "0 3 * * *"));
  const { drift } = await host.look([schedule()]);
  assert.match(drift?.missing[0] ?? "", /^0 2 /u);
  assert.match(drift?.foreign[0] ?? "", /^0 3 /u);
  await host.sync([schedule()]);
  assert.equal(readFileSync(file, "utf8"), right);
  assert.equal((await host.look([schedule()])).drift, undefined);
});

test("several Nikas on one machine have a block each, and a block without its end takes nothing else with it", () => {
  const both = withBlock(withBlock(theirs, "one", ["1 1 * * * a"]), "two", ["2 2 * * * b"]);
  assert.deepEqual([blockIn(both, "one"), blockIn(both, "two")], [["1 1 * * * a"], ["2 2 * * * b"]]);
  assert.equal(withBlock(withBlock(both, "one", []), "two", []), theirs);
  const torn = both.replace("# <<< nika one\n", "");
  assert.ok(withBlock(torn, "one", []).includes("1 1 * * * a"), "whose line that is nobody can tell any more");
  assert.equal(driftOf(both, "one", ["1 1 * * * a"]), undefined);
});

test("where there is no cron, or it refuses, a sentence says so", async () => {
  process.env["PATH"] = dir;
  await assert.rejects(open().sync([schedule()]), { code: "unavailable", message: /cron is not installed/u });
  process.env["PATH"] = path;
  installCrontab(undefined, 1);
  await assert.rejects(open().sync([schedule()]), { code: "denied", message: /you are not allowed/u });
});

const minute = Date.parse("2026-11-22T02:00:00Z");
const run = (at: number, command: readonly [string, ...string[]], more: object = {}): Promise<HostRun | undefined> => {
  writeJob(dir, { id: "abcdefgh12345678", name: "backup", rule: schedule().rule, script: "backup" });
  return runHostJob("abcdefgh12345678", { dataDir: dir, now: () => at, isForced: false, command: () => command, ...more });
};
const log = (): HostRun[] =>
  readFileSync(join(dir, "log", "host.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as HostRun);

test("a run of cron does its time once, and writes a line of what came of it", async () => {
  const done = await run(minute + 3_000, ["/bin/sh", "-c", "echo saved; exit 3"]);
  assert.deepEqual([done?.code, done?.bytes, done?.text, done?.occurrence], [3, 6, "saved", minute]);
  assert.equal(await run(minute + 20_000, ["/bin/echo", "twice"]), undefined);
  assert.deepEqual(log(), [done]);
});

test("fired at another hour, which is how a clock change is covered, it does nothing", async () => {
  assert.equal(await run(minute + 3_600_000, ["/bin/echo", "no"]), undefined);
  assert.equal(existsSync(join(dir, "log", "host.jsonl")), false);
  assert.equal((await run(minute + 3_600_000, ["/bin/echo", "yes"], { isForced: true }))?.code, 0);
});

test("what takes too long is stopped, what is still running is left alone, and a dead holder's lock is taken over", async () => {
  const slow = await run(minute, ["/bin/sleep", "60"], { timeoutMs: 50 });
  assert.equal(slow?.code, 124);
  writeFileSync(join(dir, "host", "abcdefgh12345678.lock"), String(process.pid));
  assert.equal((await run(minute, ["/bin/echo", "x"], { isForced: true }))?.code, 75);
  writeFileSync(join(dir, "host", "abcdefgh12345678.lock"), "4194303");
  assert.equal((await run(minute, ["/bin/echo", "x"], { isForced: true }))?.code, 0);
});

test("what is no id, or was not written by Nika, is not run", async () => {
  const options = { dataDir: dir, now: () => minute, isForced: true };
  await assert.rejects(runHostJob("../../etc/x", { ...options, command: () => ["/bin/true"] }), { code: "missing" });
  await assert.rejects(runHostJob("zzzzzzzzzzzz", { ...options, command: () => ["/bin/true"] }), { code: "missing" });
});
