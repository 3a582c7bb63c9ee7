import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadApp } from "../../../../appliance/engine/deploy/load.ts";
import type { Reply, Task } from "../../../../appliance/engine/exec/message.ts";
import { openTxnThread, type TxnThread } from "../../../../appliance/engine/exec/txnThread.ts";
import { blobFolder } from "../../../../appliance/engine/store/files.ts";
import { admin, engineApp, requestId } from "../openTestCore.ts";

type Own = AsyncDisposable & { readonly txn: TxnThread; readonly gaps: bigint[] };

async function opened(file: URL): Promise<Own> {
  const dir = mkdtempSync(join(tmpdir(), "nika-txn-"));
  mkdirSync(blobFolder(dir), { recursive: true });
  const env = { COLOUR: "green", ISSUER: "https://issuer.test" };
  const origin = (): string => "http://127.0.0.1:6452";
  const log = (): void => undefined;
  const app = await loadApp({ dir, functionsDir: engineApp, env });
  const { functions, schema, crons } = app.analysis;
  const gaps: bigint[] = [];
  const txn = await openTxnThread({
    setup: { dir, functions, schema, schemaHash: "one", crons, ...app.isolate, env },
    origin,
    onGroup: () => undefined,
    onReady: () => undefined,
    onGap: (ts) => void gaps.push(ts),
    log,
    file,
  });
  return {
    txn,
    gaps,
    [Symbol.asyncDispose]: async () => {
      await txn.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function add(session?: { id: string; requestId: number }): Task {
  const request = { path: "counters:add", args: `{"name":"one"}`, identity: admin, requestId };
  return session ? { type: "mutation", request, session } : { type: "mutation", request };
}

function valueOf(reply: Reply): string {
  assert.ok(reply.type === "mutation");
  return reply.result.ok ? reply.result.value : reply.result.message;
}

test("when the thread dies after saving, a mutation with a session is done once and the others are told the truth", async () => {
  await using own = await opened(new URL("./dyingTxnWorker.ts", import.meta.url));
  const [first, doubted, due] = await Promise.all([
    own.txn.perform(add({ id: "client", requestId: 0 })),
    own.txn.perform(add()),
    own.txn.perform({ type: "nextDue" }),
  ]);

  assert.equal(valueOf(first), "1");
  assert.match(valueOf(doubted), /may or may not have been saved/);
  assert.equal(due.type, "due");
  assert.equal(own.gaps.length, 1, "whoever watches is told that anything may have changed");
  assert.ok(first.type === "mutation" && first.ts !== null && first.ts <= (own.gaps[0] ?? 0n));
  assert.equal(valueOf(await own.txn.perform(add({ id: "client", requestId: 0 }))), "1", "asked again, it is told again");
  // The one that nobody could be sure of is there or is not.
  assert.match(valueOf(await own.txn.perform(add({ id: "client", requestId: 1 }))), /^[23]$/);
});
