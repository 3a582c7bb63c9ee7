/**
 * An appliance that keeps nothing itself: state on a Convex elsewhere, vectors in a Qdrant elsewhere. The real images cannot be had
 * everywhere, so our engine and store stand in for them, each in its own server: what is tested is that two addresses are all it takes.
 */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { openEngine } from "../../appliance/engine/engine.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { startVectors } from "../../appliance/vectors/vectors.ts";
import { ConvexClient } from "convex/browser";
import { api } from "../../convex/_generated/api.js";
import { startLab } from "../../scripts/lab/appliance.ts";
import { handOver, settled } from "../../scripts/lab/ingest.ts";

test("two addresses put an appliance's state and vectors elsewhere", async () => {
  await using elsewhere = await backends();
  const { dir, environment } = elsewhere;
  writeFileSync(join(dir, "lease.md"), "# Lease\n\nThe lease of the workshop ends on 30 June 2031.\n");
  const appliance = await startLab({ dataDir: join(dir, "data"), environment });
  const client = new ConvexClient(elsewhere.url, { unsavedChangesWarning: false, logger: false });
  client.setAuth(appliance.token);

  await handOver(client, dir, ["lease.md"]);
  const counts = await settled(client);
  const { passages } = await appliance.ask("when does the lease end?");
  const status = await client.query(api.appliance.status, {});
  const config = (await (await fetch(`${appliance.url}/nika/config`)).json()) as { convexUrl: string };
  await client.close();
  await appliance.stop();

  assert.equal(counts.ready, 1);
  assert.equal(passages[0]?.documentName, "lease.md");
  assert.deepEqual(status?.mode, { state: "convex", vectors: "qdrant" });
  assert.equal(config.convexUrl, elsewhere.url);
  assert.deepEqual([existsSync(join(dir, "data/engine")), existsSync(join(dir, "data/vectors"))], [false, false]);
});

test("a Convex address without its key is refused before anything starts", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-backends-"));
  const environment = { NIKA_CONVEX_URL: "http://127.0.0.1:9" };
  await assert.rejects(startLab({ dataDir: join(dir, "data"), environment }), /NIKA_CONVEX_ADMIN_KEY/);
  rmSync(dir, { recursive: true, force: true });
});

async function backends() {
  const dir = mkdtempSync(join(tmpdir(), "nika-backends-"));
  // The backend trusts the appliance's keys, as a deployment would after `env set NIKA_JWKS`.
  const keys = openKeys(dir);
  mkdirSync(join(dir, "data"));
  cpSync(join(dir, "keys"), join(dir, "data/keys"), { recursive: true });
  const server = createServer((request, response) => void engine.handle(request, response));
  server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = await openEngine({
    dir: join(dir, "engine"),
    functionsDir: fileURLToPath(new URL("../../convex", import.meta.url)),
    env: { NIKA_JWKS: keys.jwksUrl },
    adminKey: keys.adminKey,
    origin: () => url,
    log: () => undefined,
  });
  const store = await startVectors({ dir: join(dir, "vectors"), apiKey: "key", host: "127.0.0.1", log: () => undefined });
  return {
    dir,
    url,
    environment: {
      NIKA_CONVEX_URL: url,
      NIKA_CONVEX_ADMIN_KEY: keys.adminKey,
      NIKA_CONVEX_DEPLOY: "0",
      NIKA_QDRANT_URL: store.url,
      NIKA_QDRANT_API_KEY: "key",
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
