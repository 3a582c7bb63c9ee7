import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { loadApp } from "../../../../appliance/engine/deploy/load.ts";
import { openActionThread } from "../../../../appliance/engine/exec/actionHost.ts";
import { openActionSeats, type ActionSeats } from "../../../../appliance/engine/exec/actionSeats.ts";
import type { FunctionEntry } from "../../../../appliance/engine/txn/functions.ts";
import { openTestCore, type TestCore } from "../openTestCore.ts";
import { ownEngine } from "../ownEngine.ts";

const functionsDir = join(import.meta.dirname, "app");

let shared: TestCore;
before(async () => {
  shared = await openTestCore({ functionsDir });
});
after(() => shared[Symbol.asyncDispose]());

/** Why a run ends, in the words of each kind; `undefined` where the way does no harm. */
const ends: Readonly<Record<string, Readonly<Record<"query" | "mutation" | "action", RegExp> & { nodeAction?: RegExp }>>> = {
  heap: { query: /out of memory|timed out/, mutation: /out of memory|timed out/, action: /out of memory/ },
  buffers: { query: /out of memory|timed out/, mutation: /out of memory|timed out/, action: /out of memory/ },
  exit: {
    query: /TypeError/,
    mutation: /TypeError/,
    action: /The action ended its thread/,
    nodeAction: /The action ended its process/,
  },
  abort: {
    query: /TypeError/,
    mutation: /TypeError/,
    action: /not supported in workers/,
    nodeAction: /The action ended its process \(SIGABRT\)/,
  },
  signal: {
    query: /TypeError/,
    mutation: /TypeError/,
    action: /can only be called in "use node"/,
    nodeAction: /The action ended its process \(SIGSEGV\)/,
  },
  deep: { query: /Maximum call stack/, mutation: /Maximum call stack/, action: /Maximum call stack/ },
  hugeResult: { query: /TooLargeFunctionResult/, mutation: /TooLargeFunctionResult/, action: /TooLargeFunctionResult/ },
  throwsAnything: { query: /Uncaught/, mutation: /Uncaught/, action: /Uncaught/ },
  lostRejection: { query: /nobody listens/, mutation: /nobody listens/, action: /nobody listens/ },
  lostThrow: { query: /setTimeout/, mutation: /setTimeout/, action: /nobody catches/ },
};

for (const [way, expected] of Object.entries(ends))
  test(`what does harm by ${way} ends alone, whatever kind it is`, async () => {
    const name = `beside ${way}`;
    const beside = Promise.all(Array.from({ length: 4 }, () => shared.mutate<number>("good:bump", { name })));
    const kinds = [
      ["query", "bad:asQuery", expected.query],
      ["mutation", "bad:asMutation", expected.mutation],
      ["action", "bad:asAction", expected.action],
      ["action", "badNode:asNodeAction", expected.nodeAction ?? expected.action],
    ] as const;
    for (const [kind, path, why] of kinds) assert.match(await shared.refusal(kind, path, { way }), why, path);
    assert.deepEqual(await beside, [1, 2, 3, 4]);
    assert.equal(await shared.query("good:count", { name }), 4);
    const request = { path: "good:act", args: JSON.stringify({ name }), identity: { type: "none" }, requestId: "0" } as const;
    assert.deepEqual((await shared.core.action(request)).result, { ok: true, value: "5" });
  });

for (const way of ["exit", "deep", "lostThrow"])
  test(`an HTTP action that does harm by ${way} fails by itself`, async () => {
    const asked = shared.core.http(new Request(`http://x/bad?way=${way}`), { path: "/bad", method: "GET" }, { type: "none" });
    const status = await asked.then(
      (response) => response.status,
      () => 500,
    );
    assert.equal(status, 500);
    const request = { path: "good:act", args: `{"name":"http"}`, identity: { type: "none" }, requestId: "0" } as const;
    assert.ok((await shared.core.action(request)).result.ok);
  });

const who = { who: "", identity: "null", requestId: "0" };
const action = (path: string): FunctionEntry => ({
  path,
  kind: "action",
  visibility: "public",
  args: { type: "any" },
  returns: null,
});

type Threads = AsyncDisposable & { readonly actions: ActionSeats<string>; readonly logged: string[] };

async function opened(times: NonNullable<Parameters<typeof openActionSeats<string>>[0]["times"]>): Promise<Threads> {
  const dir = mkdtempSync(join(tmpdir(), "nika-actions-"));
  const app = await loadApp({ dir, functionsDir, env: {} });
  const logged: string[] = [];
  const actions = openActionSeats<string>({
    open: openActionThread,
    most: 4,
    ever: 8,
    setup: { dir, functionsDir, ...app.node },
    env: () => ({}),
    answer: async () => "=1",
    log: (line) => void logged.push(line),
    times,
  });
  return {
    actions,
    logged,
    [Symbol.asyncDispose]: async () => {
      await actions.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

test("endless and forgotten actions end when their time is over, and whoever comes meanwhile is served", async () => {
  await using own = await opened({ action: 5000, look: 50, deaf: 500 });
  const bad = ["loop", "never", "loop", "loop", "loop"].map((way) =>
    own.actions.run(who, action("bad:asAction"), JSON.stringify({ way })),
  );
  for (let turn = 0; turn < 5; turn++) {
    const { outcome } = await own.actions.run(who, action("good:act"), `{"name":"x"}`);
    assert.deepEqual(outcome, { ok: true, value: "1" });
  }
  for (const { outcome } of await Promise.all(bad))
    assert.match(outcome.ok ? "" : outcome.message, /Action timed out|Transient error/);
  assert.ok((await own.actions.run(who, action("good:act"), `{"name":"x"}`)).outcome.ok);
});

test("one that never lets go is ended though it keeps nobody from going on", async () => {
  await using own = await opened({ look: 50, blocked: 400 });
  const { outcome } = await own.actions.run(who, action("bad:asAction"), `{"way":"loop"}`);
  assert.match(outcome.ok ? "" : outcome.message, /blocked its thread/);
});

test("one that never lets go of a thread it shares is ended with those it keeps from going on", async () => {
  await using own = await opened({ look: 50, stuck: 400 });
  const waiting = Array.from({ length: 7 }, () => own.actions.run(who, action("bad:asAction"), `{"way":"never"}`));
  const looping = own.actions.run(who, action("bad:asAction"), `{"way":"loop"}`);
  const { outcome } = await looping;
  assert.match(outcome.ok ? "" : outcome.message, /Transient error/);
  assert.ok((await own.actions.run(who, action("good:act"), `{"name":"x"}`)).outcome.ok);
  await own.actions.close();
  await Promise.all(waiting);
});

test("a process of an action that never lets go does not outlive its engine", async () => {
  await using engine = await ownEngine({ functionsDir });
  const file = join(engine.dir, "pid");
  const body = JSON.stringify({ path: "badNode:orphan", args: { file } });
  const asked = fetch(`${engine.url}/api/action`, { method: "POST", body }).catch(() => undefined);
  const pid = await eventually(() => Number(readFileSync(file, "utf8")));
  await engine.kill();
  await asked;
  await eventually(() => {
    assert.throws(() => process.kill(pid, 0));
    return true;
  });
});

async function eventually<T>(look: () => T): Promise<T> {
  for (;;) {
    try {
      const found = look();
      if (found) return found;
    } catch {
      // Not yet.
    }
    await pause(20);
  }
}
