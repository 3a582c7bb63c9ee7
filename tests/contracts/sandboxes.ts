import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { test } from "node:test";
import { isNikaError } from "../../convex/model/error.ts";
import type { Sandbox, Sandboxes, SandboxSpec } from "../../functions/ports/sandboxes.ts";

export type SandboxesExam = {
  readonly sandboxes: Sandboxes;
  /** A folder from which may be mounted. */
  readonly root: string;
  /** Why a promise cannot be kept by this one; what is not named is kept. */
  readonly without?: { readonly mounts?: string; readonly limits?: string };
};

export const specOf = (code: string, changes: Partial<SandboxSpec> = {}): SandboxSpec => ({
  name: `nika-test-${randomUUID()}`,
  language: "node",
  runtime: "runc",
  command: ["node", "-e", code],
  environment: {},
  mounts: [],
  egress: [],
  memoryBytes: 128 << 20,
  cpus: 1,
  processesMax: 32,
  tmpBytes: 4 << 20,
  timeLimitMs: 60_000,
  ...changes,
});

const never = new AbortController().signal;
const echo = "process.stdin.pipe(process.stdout)";
const forEver = "setInterval(() => {}, 1000); console.log('up')";
const isCode = (code: string) => (error: unknown) => isNikaError(error) && error.code === code;

/** What every Sandboxes promises. */
export function sandboxesContract(name: string, open: () => Promise<SandboxesExam>): void {
  const exam = open();
  const start = async (code: string, changes?: Partial<SandboxSpec>): Promise<Sandbox> =>
    (await exam).sandboxes.open(specOf(code, changes), never);

  test(`${name}: what goes in comes out, and the end of input is its end`, async () => {
    const sandbox = await start(echo);
    sandbox.input.end("héllo");
    assert.equal(await text(sandbox.output), "héllo");
    assert.deepEqual(await sandbox.ended, { code: 0, reason: "exit" });
  });

  test(`${name}: stdout and stderr come apart, and the exit code is told`, async () => {
    const sandbox = await start("process.stdout.write('a'.repeat(100)); console.error('why'); process.exitCode = 3");
    const [output, errors] = await Promise.all([text(sandbox.output), text(sandbox.errors)]);
    assert.equal(output, "a".repeat(100));
    assert.equal(errors, "why\n");
    assert.deepEqual(await sandbox.ended, { code: 3, reason: "exit" });
  });

  test(`${name}: large answers arrive whole`, async () => {
    const sandbox = await start("process.stdout.write(Buffer.alloc(6e6, 'x'))");
    assert.equal((await buffer(sandbox.output)).length, 6e6);
  });

  test(`${name}: who floods stderr is not held up, and its words are bounded`, async () => {
    const sandbox = await start("process.stderr.write('e'.repeat(4e6), () => console.log('done'))");
    assert.equal(await text(sandbox.output), "done\n");
    await sandbox.ended;
    assert.ok((await text(sandbox.errors)).length < 1e6);
  });

  test(`${name}: it sees the variables it was given, and none of ours`, async () => {
    process.env["NIKA_TEST_CANARY"] = "secret";
    const sandbox = await start("console.log(process.env.GIVEN, process.env.NIKA_TEST_CANARY)", {
      environment: { GIVEN: "a b" },
    });
    assert.equal(await text(sandbox.output), "a b undefined\n");
  });

  test(`${name}: one that is stopped says so, and stopping it again is no error`, async () => {
    const sandbox = await start(forEver);
    await once(sandbox.output, "data");
    await sandbox.stop();
    assert.equal((await sandbox.ended).reason, "stopped");
    await sandbox.stop();
  });

  test(`${name}: beyond its time it ends`, async () => {
    const sandbox = await start("for (;;);", { timeLimitMs: 400 });
    assert.equal((await sandbox.ended).reason, "time");
  });

  test(`${name}: paused it can be resumed, and stopped`, async () => {
    const sandbox = await start(echo);
    await sandbox.pause();
    sandbox.input.write("x");
    await sandbox.resume();
    await sandbox.resume();
    assert.equal(String((await once(sandbox.output, "data"))[0]), "x");
    await sandbox.pause();
    await sandbox.stop();
    assert.equal((await sandbox.ended).reason, "stopped");
  });

  test(`${name}: two of one name are a conflict`, async () => {
    const one = specOf(forEver);
    const sandbox = await (await exam).sandboxes.open(one, never);
    await assert.rejects((await exam).sandboxes.open(one, never), isCode("conflict"));
    await sandbox.stop();
    const again = await (await exam).sandboxes.open({ ...one, command: ["node", "-e", ""] }, never);
    assert.equal((await again.ended).reason, "exit");
  });

  test(`${name}: a spec that makes no sense is invalid`, async () => {
    for (const changes of [
      { name: "a b" },
      { command: [] },
      { environment: { "A=B": "" } },
      { memoryBytes: 0 },
      { cpus: 0 },
      { processesMax: 0 },
      { egress: ["*.example.com:443"] },
      { egress: ["2130706433:80"] },
    ])
      await assert.rejects(start("", changes), isCode("invalid"), JSON.stringify(changes));
  });

  test(`${name}: an opening that was called off leaves nothing`, async () => {
    await assert.rejects((await exam).sandboxes.open(specOf(""), AbortSignal.abort()));
  });

  test(`${name}: a folder outside the roots is denied, by a link too`, async () => {
    const { root } = await exam;
    mkdirSync(join(root, "in"), { recursive: true });
    symlinkSync("/usr/lib", join(root, "in", randomUUID()));
    const link = join(root, randomUUID());
    symlinkSync("/usr/lib", link);
    for (const from of ["/usr/lib", link, join(root, "in/../../..")])
      await assert.rejects(start("", { mounts: [{ from, to: "/app" }] }), isCode("denied"), from);
    for (const to of ["/proc/x", "/usr/lib", "relative", "/app/../etc"])
      await assert.rejects(start("", { mounts: [{ from: join(root, "in"), to }] }), isCode("invalid"), to);
    await assert.rejects(start("", { mounts: [{ from: join(root, "nowhere"), to: "/app" }] }), isCode("missing"));
  });

  test(`${name}: what is mounted can be read and not written`, async (t) => {
    const { root, without } = await exam;
    if (without?.mounts) return t.skip(without.mounts);
    const folder = join(root, randomUUID());
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, "a.txt"), "inside");
    const code =
      "const fs = require('fs'); console.log(fs.readFileSync('/app/a.txt', 'utf8')); try { fs.writeFileSync('/app/b', '') } catch (e) { console.log(e.code) }";
    const sandbox = await start(code, { mounts: [{ from: folder, to: "/app" }] });
    assert.match(await text(sandbox.output), /^inside\nE(ROFS|ACCES|PERM)\n$/);
  });

  test(`${name}: beyond its memory it ends, and it is told why`, async (t) => {
    const { without } = await exam;
    if (without?.limits) return t.skip(without.limits);
    const buffers = await start("const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))");
    assert.equal((await buffers.ended).reason, "memory");
  });
}
