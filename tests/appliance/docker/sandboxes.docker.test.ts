import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import type { SandboxConnection } from "../../../functions/ports/sandboxes.ts";
import { sandboxesContract, specOf } from "../../contracts/sandboxes.ts";
import { missingEngine } from "./engine.ts";

const skip = missingEngine() ?? false;
const root = mkdtempSync(join(tmpdir(), "nika-sandboxes-"));
after(() => rmSync(root, { recursive: true, force: true }));
const dataDir = join(root, "data");
const sandboxes = dockerSandboxes({ dataDir, mountRoots: [join(root, "mounts")] });
const never = new AbortController().signal;

if (skip) test("sandboxes by Docker", { skip });
else {
  sandboxesContract("Docker", async () => ({ sandboxes, root: join(root, "mounts") }));

  test("a runtime's verdict is kept, and names every limit that was tried", async () => {
    const verdicts = await sandboxes.attestations();
    const runc = verdicts.find(({ runtime }) => runtime === "runc");
    assert.deepEqual(
      runc?.probes.filter(({ holds }) => !holds),
      [],
    );
    assert.ok((runc?.probes.length ?? 0) >= 19);
    assert.match(readFileSync(join(dataDir, "sandbox/attestations.json"), "utf8"), /"isSufficient": true/);
  });

  test("what it stores is there for the next, in no other's reach, and more than it may ends it", async () => {
    const storage = { from: join(dataDir, "storage", "test", "one"), bytesMax: 8 << 20 };
    const write =
      "const fs = require('fs'); fs.appendFileSync('/data/log', 'x'); console.log(fs.readFileSync('/data/log', 'utf8'))";
    for (const expected of ["x\n", "xx\n"])
      assert.equal(await text((await sandboxes.open(specOf(write, { storage }), never)).output), expected);
    const grow = "let n = 0; setInterval(() => require('fs').writeFileSync('/data/' + n++, Buffer.alloc(1 << 20, 1)), 20)";
    const full = await sandboxes.open(specOf(grow, { storage, timeLimitMs: 30_000 }), never);
    const { reason } = await full.ended;
    assert.equal(reason, "storage");
    const outside = { ...storage, from: join(root, "elsewhere") };
    await assert.rejects(
      sandboxes.open(specOf(write, { storage: outside }), never),
      (error: unknown) => isNikaError(error) && error.code === "denied",
    );
  });

  test("one that somebody else removes is lost", async () => {
    const spec = specOf("console.log('up'); setInterval(() => {}, 1000)");
    const sandbox = await sandboxes.open(spec, never);
    await once(sandbox.output, "data");
    execFileSync("docker", ["rm", "--force", spec.name], { stdio: "ignore" });
    assert.equal((await sandbox.ended).reason, "lost");
  });

  test("what an earlier life left is reaped, and nothing else", async () => {
    const sandbox = await sandboxes.open(specOf("console.log('up'); setInterval(() => {}, 1000)"), never);
    const left = `nika-test-left-${process.pid}`;
    const image =
      execFileSync("docker", ["images", "--format", "{{.Repository}}:{{.Tag}}", "nika-sandbox-node"], { encoding: "utf8" }).split(
        "\n",
      )[0] ?? "";
    const owner = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
    const labels = (whose: string) => ["--label", `nika.sandbox.owner=${whose}`, "--label", "nika.sandbox.boot=earlier"];
    const create = (name: string, whose: string) =>
      execFileSync("docker", ["create", "--name", name, ...labels(whose), image, "node"], { stdio: "ignore" });
    create(left, owner);
    create(`${left}-other`, "0000000000000000");
    try {
      assert.equal(await sandboxes.reap(), 1);
      const names = execFileSync("docker", ["ps", "--all", "--format", "{{.Names}}"], { encoding: "utf8" }).split("\n");
      assert.ok(!names.includes(left) && names.includes(`${left}-other`));
    } finally {
      execFileSync("docker", ["rm", "--force", `${left}-other`], { stdio: "ignore" });
    }
    await sandbox.stop();
    assert.equal((await sandbox.ended).reason, "stopped");
  });

  test("somebody else may mount from folders of his own, which are not everybody's", async () => {
    const folder = join(root, "elsewhere");
    mkdirSync(folder, { mode: 0o755 });
    const mounts = [{ from: folder, to: "/app" }];
    await assert.rejects(sandboxes.open(specOf("", { mounts }), never), (error) => isNikaError(error) && error.code === "denied");
    const sandbox = await sandboxes.within([folder]).open(specOf("", { mounts }), never);
    assert.equal((await sandbox.ended).reason, "exit");
  });

  test("a runtime that the engine does not have is unavailable", async () => {
    await assert.rejects(
      sandboxes.open(specOf("", { runtime: "kata" }), never),
      (error) => isNikaError(error) && error.code === "unavailable",
    );
  });

  test("without an engine everything is unavailable", async () => {
    const nowhere = dockerSandboxes({ dataDir, mountRoots: [], socketPath: join(root, "no.sock") });
    for (const call of [nowhere.open(specOf(""), never), nowhere.attestations(), nowhere.reap()])
      await assert.rejects(call, (error) => isNikaError(error) && error.code === "unavailable");
  });

  test("Python runs with its own library", async () => {
    const code = "import os, json, ssl, sqlite3; print(json.dumps({'user': os.getuid() != 0, 'ok': ssl.OPENSSL_VERSION != ''}))";
    const sandbox = await sandboxes.open(specOf("", { language: "python", command: ["python3", "-c", code] }), never);
    const [output, errors] = await Promise.all([text(sandbox.output), text(sandbox.errors)]);
    assert.equal(output.trim(), '{"user": true, "ok": true}', errors);
  });

  test("the way out leads where it was allowed and nowhere else, and each connection is told", async () => {
    const server = createServer((asked, response) => response.end(`${asked.method} ${asked.url} ${asked.headers.host}`));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as AddressInfo;
    const told: SandboxConnection[] = [];
    const forget = sandboxes.connections((one) => told.push(one));
    const code = `
      const get = (url) => fetch(url).then((r) => r.text(), (e) => e.message);
      console.log(await get("http://127.0.0.1:${port}/a"));
      console.log(await get("http://127.0.0.1:${port + 1}/b").then((t) => t.startsWith("GET") ? t : "refused"));
      console.log(await get("http://169.254.169.254/c").then((t) => t.startsWith("GET") ? t : "refused"));
      process.exit();`;
    const spec = specOf("", { command: ["node", "--input-type=module", "-e", code], egress: [`127.0.0.1:${port}`] });
    const sandbox = await sandboxes.open(spec, never);
    assert.equal(await text(sandbox.output), `GET /a 127.0.0.1:${port}\nrefused\nrefused\n`);
    await sandbox.ended;
    forget();
    server.close();
    const sums = told.map(({ sandbox: name, to, allowed }) => ({ mine: name === spec.name, to, allowed }));
    for (const [to, allowed] of [
      [`127.0.0.1:${port}`, true],
      [`127.0.0.1:${port + 1}`, false],
      ["169.254.169.254:80", false],
    ] as const)
      assert.ok(
        sums.some((one) => one.mine && one.to === to && one.allowed === allowed),
        `${to}: ${JSON.stringify(told)}`,
      );
  });
}
