/** Functions of the owner's in real sandboxes: what they cannot do is tried from inside. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import type { UserReply } from "../../../functions/ports/userFunctions.ts";
import { missingEngine } from "../docker/engine.ts";
import { openPlace, outputOf, type Place } from "./place.ts";

const skip = missingEngine() ?? false;
const containersOf = (name: string): string =>
  spawnSync("docker", ["ps", "-aq", "--filter", `name=nika-function-${name}-`], { encoding: "utf8" }).stdout.trim();

if (skip) test("functions in Docker", { skip });
else {
  let place: Place;
  const server = createServer((_request, response) => response.end("let in"));
  before(async () => {
    place = await openPlace({
      sandboxes: (_opened, dataDir) => dockerSandboxes({ dataDir, mountRoots: [join(dataDir, "cache")] }),
    });
    // On every address of the machine, as a careless service would listen.
    await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
  });
  after(async () => {
    await place[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  });
  const port = (): number => (server.address() as AddressInfo).port;

  async function run(name: string, code: string, manifest: object = {}, input: unknown = null): Promise<UserReply> {
    place.write(name, { "index.ts": code, "function.json": JSON.stringify(manifest) });
    const f = await place.until(name, ({ state, problem }) => state === "serving" || problem !== undefined);
    assert.deepEqual([f.state, f.problem, f.isBare], ["serving", undefined, false]);
    return place.call(name, input);
  }

  test("it answers, in TypeScript and in Python, and stays warm", async () => {
    assert.deepEqual(outputOf(await run("double", "export default (n: number) => ({ twice: n * 2 });", {}, 4)), { twice: 8 });
    const warm = await place.call("double", 5);
    assert.equal(warm.facts?.coldMs, undefined);
    place.write("plus", { "main.py": "def handler(input, ctx):\n    return input + 1\n" });
    await place.until("plus", ({ state }) => state === "serving");
    assert.equal(outputOf(await place.call("plus", 1)), 2);
  });

  test("it cannot read the host, nor write its own files, nor see our environment", async () => {
    const secret = join(place.dataDir, "secret.txt");
    writeFileSync(secret, "ours");
    const tries = `
      import { readFileSync, writeFileSync, readdirSync } from "node:fs";
      const attempt = (work) => { try { return String(work()); } catch (error) { return error.code; } };
      export default (secret) => ({
        secret: attempt(() => readFileSync(secret, "utf8")),
        shadow: attempt(() => readFileSync("/etc/shadow", "utf8")),
        write: attempt(() => writeFileSync("/function/index.ts", "export default () => 'mine';")),
        root: attempt(() => writeFileSync("/x", "x")),
        users: attempt(() => readdirSync("/root")),
        id: process.getuid(),
        env: Object.keys(process.env).filter((key) => /NIKA|TOKEN|KEY|SECRET/i.test(key)),
      });`;
    const seen = outputOf(await run("nosy", tries, {}, secret)) as Record<string, unknown>;
    assert.equal(seen["secret"], "ENOENT");
    assert.match(String(seen["shadow"]), /ENOENT|EACCES/);
    assert.match(String(seen["write"]), /EROFS|EACCES/);
    assert.match(String(seen["root"]), /EROFS|EACCES/);
    assert.match(String(seen["users"]), /ENOENT|EACCES/);
    assert.notEqual(seen["id"], 0);
    assert.deepEqual(seen["env"], []);
  });

  const reach = `
    import { connect } from "node:net";
    import { lookup } from "node:dns/promises";
    const open = (host, port) => new Promise((done) => {
      const socket = connect({ host, port, timeout: 2000 }, () => { socket.destroy(); done("open"); });
      socket.on("error", (error) => done(error.code)).on("timeout", () => { socket.destroy(); done("timeout"); });
    });
    const get = (url) => fetch(url).then((r) => r.text(), (error) => String(error.cause?.code ?? error.cause?.message ?? error));
    export default async ({ addresses, port, url }) => ({
      direct: await Promise.all(addresses.map((address) => open(address, port))),
      dns: await lookup("example.com").then(() => "resolved", (error) => error.code),
      listed: await get(url + "/"),
      other: await get("http://169.254.169.254/latest/meta-data/"),
    });`;
  const asked = (): object => {
    const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ family }) => family === "IPv4"));
    return {
      addresses: [...new Set(["127.0.0.1", "1.1.1.1", ...own.map(({ address }) => address)])],
      port: port(),
      url: `http://127.0.0.1:${port()}`,
    };
  };

  test("without a list it reaches nothing: not this machine, not a name, not the internet", async () => {
    const seen = outputOf(await run("lonely", reach, {}, asked())) as {
      direct: string[];
      dns: string;
      listed: string;
      other: string;
    };
    assert.deepEqual(
      seen.direct.filter((one) => one === "open"),
      [],
    );
    assert.notEqual(seen.dns, "resolved");
    assert.notEqual(seen.listed, "let in");
  });

  test("with a list it reaches what is on it, and nothing beside", async () => {
    const seen = outputOf(await run("chatty", reach, { egress: [`127.0.0.1:${port()}`] }, asked())) as {
      direct: string[];
      listed: string;
      other: string;
    };
    assert.equal(seen.listed, "let in");
    assert.deepEqual(
      seen.direct.filter((one) => one === "open"),
      [],
    );
    assert.doesNotMatch(seen.other, /let in|ami-id/);
  });

  test("it cannot outlive its limit, whatever it starts", async () => {
    const hide = `
      import { spawn } from "node:child_process";
      export default async () => {
        for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => {});
        spawn(process.execPath, ["-e", "for (;;);"], { detached: true, stdio: "ignore" }).unref();
        for (;;);
      };`;
    const reply = await run("immortal", hide, { limits: { timeLimitMs: 800 }, concurrency: 1 });
    assert(reply.type === "failed");
    assert.equal(reply.code, "timeout");
    await place.owned.remove("immortal");
    for (let i = 0; i < 50 && containersOf("immortal") !== ""; i++) await new Promise((done) => setTimeout(done, 100));
    assert.equal(containersOf("immortal"), "");
  });

  test("it cannot have more memory than its share, and is told so", async () => {
    const eat = "export default () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); };";
    const reply = await run("hungry", eat, { limits: { memoryMiB: 96 } });
    assert(reply.type === "failed");
    assert.equal(reply.code, "full");
    assert.match(reply.message, /more than its 96 MiB/);
  });

  test("when what serves them ends, no container stays", async () => {
    await run("left", "export default () => 1;");
    assert.notEqual(containersOf("left"), "");
    await place.reopen();
    assert.equal(containersOf("left"), "");
    assert.equal(outputOf(await place.call("left")), 1);
  });
}
