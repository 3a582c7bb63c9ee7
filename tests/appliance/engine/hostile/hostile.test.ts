import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadApp } from "../../../../appliance/engine/deploy/load.ts";
import { openActionThreads, type ActionThreads } from "../../../../appliance/engine/exec/actionThread.ts";
import type { FunctionEntry } from "../../../../appliance/engine/txn/functions.ts";
import { openTestCore, type TestCore } from "../openTestCore.ts";

const functionsDir = join(import.meta.dirname, "app");

let shared: TestCore;
before(async () => {
  shared = await openTestCore({ functionsDir });
});
after(() => shared[Symbol.asyncDispose]());

/** Why a run ends, in the words of each kind; `undefined` where the way does no harm. */
const ends: Readonly<Record<string, Readonly<Record<"query" | "mutation" | "action", RegExp | undefined>>>> = {
  heap: { query: /out of memory|timed out/, mutation: /out of memory|timed out/, action: /out of memory/ },
  buffers: { query: /out of memory|timed out/, mutation: /out of memory|timed out/, action: /out of memory/ },
  exit: { query: /TypeError/, mutation: /TypeError/, action: /The action ended its thread/ },
  abort: { query: /TypeError/, mutation: /TypeError/, action: /not supported in workers/ },
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
      ["action", "badNode:asNodeAction", expected.action],
    ] as const;
    // Filling a heap takes seconds, and "use node" changes nothing in it.
    const asked = way === "heap" ? kinds.slice(0, 3) : kinds;
    for (const [kind, path, why] of asked) assert.match(await shared.refusal(kind, path, { way }), why as RegExp, path);
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

type Threads = AsyncDisposable & { readonly actions: ActionThreads<string>; readonly logged: string[] };

async function opened(times: NonNullable<Parameters<typeof openActionThreads>[0]["times"]>): Promise<Threads> {
  const dir = mkdtempSync(join(tmpdir(), "nika-actions-"));
  const app = await loadApp({ dir, functionsDir, env: {} });
  const logged: string[] = [];
  const actions = openActionThreads<string>({
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
