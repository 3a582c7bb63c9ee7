/** What is seen of a server's secret from outside its sandbox, and whom it reaches from inside: CoSAI categories 5 and 8. docs/threats.md has the table. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dockerSandboxes } from "../../../appliance/docker/sandboxes.ts";
import { missingEngine } from "../docker/engine.ts";
import { call, textOf, withEvil } from "./evil.ts";

test(
  "T5, T8: in its sandbox a server has its secret, and nobody sees it from outside; there is no way to anybody else",
  { skip: missingEngine() ?? false },
  async () => {
    const reached: string[] = [];
    const listener = createServer((request, response) => {
      reached.push(request.url ?? "");
      response.end("here");
    });
    // On every address of this machine, as services of owners are.
    await new Promise<void>((done) => listener.listen(0, "0.0.0.0", done));
    const { port } = listener.address() as AddressInfo;
    const secret = "docker-canary-0123456789";
    // Not in Nika's own folder, of which a server sees nothing; and readable for whoever runs in a sandbox.
    const outside = mkdtempSync(join(tmpdir(), "nika-threats-"));
    chmodSync(outside, 0o755);
    copyFileSync(join(import.meta.dirname, "../../fixtures/evilServer.ts"), join(outside, "evil.ts"));
    const dataDir = mkdtempSync(join(tmpdir(), "nika-threats-data-"));
    const sandboxes = dockerSandboxes({ dataDir, mountRoots: ["/"] });
    try {
      await withEvil(
        async (place) => {
          writeFileSync(join(outside, "package.json"), '{"type":"module"}');
          writeFileSync(join(outside, "script.json"), JSON.stringify({ tools: [{ name: "env" }, { name: "reach" }] }));
          const server = { command: "node", args: [join(outside, "evil.ts"), "--script=/srv/app/script.json"] };
          const sandbox = { runtime: "runc" };
          await place.configure({ one: { ...server, sandbox, env: { API_KEY: "${secret:k}", PLAIN: "seen" } } });
          // A machine under load may look as if limits did not hold; it is looked at again.
          for (let tries = 0; tries < 4 && place.pool.standings()[0]?.problem !== undefined; tries++)
            await place.pool.refresh("one", new AbortController().signal).catch(() => undefined);
          assert.equal(place.pool.standings()[0]?.problem, undefined);
          place.approve("one");
          const said = await call(place, "mcp_one__env");
          assert.match(textOf(said), /"API_KEY":"•••"/);
          assert.match(textOf(said), /"PLAIN":"seen"/);
          const ids = spawnSync("docker", ["ps", "-q", "--filter", "name=nika-mcp-one-"], { encoding: "utf8" })
            .stdout.trim()
            .split("\n");
          assert.equal(ids.filter((id) => id !== "").length, 1);
          const inspected = spawnSync("docker", ["inspect", ...ids], { encoding: "utf8" }).stdout;
          const top = spawnSync("docker", ["top", ids[0] ?? "", "-eo", "pid,args"], { encoding: "utf8" }).stdout;
          assert.match(inspected, /PLAIN=seen/);
          assert.equal(inspected.includes(secret) || top.includes(secret), false);
          const addresses = ["127.0.0.1", "172.17.0.1", "host.docker.internal", "169.254.169.254", "localhost"];
          const urls = addresses.map((address) => `http://${address}:${address.startsWith("169") ? 80 : port}/from-inside`);
          const outcome = textOf(await call(place, "mcp_one__reach", { urls }));
          assert.deepEqual(
            JSON.parse(outcome),
            urls.map(() => "nothing"),
          );
          assert.deepEqual(reached, []);
        },
        { launch: { sandboxes, secret: () => Promise.resolve(secret) } },
      );
    } finally {
      listener.closeAllConnections();
      listener.close();
      for (const dir of [outside, dataDir]) rmSync(dir, { recursive: true, force: true });
    }
  },
);
