import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openActionThread } from "../../../../appliance/engine/exec/actionHost.ts";
import { openActionSeats } from "../../../../appliance/engine/exec/actionSeats.ts";
import { openQueryPool } from "../../../../appliance/engine/exec/queryPool.ts";
import { openTxnThread } from "../../../../appliance/engine/exec/txnThread.ts";
import { Store } from "../../../../appliance/engine/store/store.ts";
import { admin, requestId } from "../openTestCore.ts";

const origin = (): string => "http://127.0.0.1";
const log = (): void => undefined;

/** What no thread can start with: the bundle is not there. */
function broken(): Disposable & { readonly dir: string; readonly setup: Parameters<typeof openTxnThread>[0]["setup"] } {
  const dir = mkdtempSync(join(tmpdir(), "nika-dead-"));
  new Store(dir, "write").close();
  const nothing = join(dir, "nothing.js");
  return {
    dir,
    setup: { dir, functions: [], schema: null, schemaHash: "", crons: [], code: nothing, map: nothing, env: {} },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

test("a transaction thread that cannot start, or cannot even be loaded, says so at once", async () => {
  using own = broken();
  const rest = { origin, log, onGroup: log, onReady: log, onGap: log };
  await assert.rejects(openTxnThread({ ...rest, setup: own.setup }), /nothing\.js/);
  const file = new URL("data:text/javascript,import 'nika:nothing'");
  await assert.rejects(openTxnThread({ ...rest, setup: own.setup, file }));
});

test("queries whose thread cannot start fail, and so do those asked afterwards", async () => {
  using own = broken();
  const pool = openQueryPool({ setup: { ...own.setup, secret: "" }, origin, threads: 2, log });
  const request = { path: "notes:all", args: "{}", identity: admin, requestId, journal: null };
  for (let turn = 0; turn < 2; turn++) {
    const [one, both] = await Promise.all([pool.run([request]), pool.run([request, request])]);
    for (const { result } of [...one.runs, ...both.runs]) assert.match(result.ok ? "" : result.message, /nothing\.js/);
  }
  await pool.close();
});

test("actions whose thread cannot start fail, and so do those asked afterwards", async () => {
  using own = broken();
  const { dir, code, map } = own.setup;
  const actions = openActionSeats({
    open: openActionThread,
    most: 4,
    ever: 8,
    setup: { dir, code, map, functionsDir: dir },
    env: () => ({}),
    answer: async () => "=1",
    log,
  });
  const asker = { who: "", identity: "null", requestId };
  const entry = { path: "a:b", kind: "action", visibility: "public", args: { type: "any" }, returns: null } as const;
  for (let turn = 0; turn < 2; turn++) {
    const { outcome } = await actions.run(asker, entry, "{}");
    assert.match(outcome.ok ? "" : outcome.message, /Transient error/);
    const request = { url: "http://x/", method: "GET", headers: [], body: null };
    await assert.rejects(actions.http(asker, { path: "/", method: "GET" }, request), /Transient error/);
  }
  await actions.close();
});
