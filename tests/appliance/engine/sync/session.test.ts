import assert from "node:assert/strict";
import { test } from "node:test";
import { openAuthenticator } from "../../../../appliance/engine/auth/authenticator.ts";
import { openLiveQueries } from "../../../../appliance/engine/subscriptions/liveQueries.ts";
import { openSession, type Session } from "../../../../appliance/engine/sync/session.ts";
import { fakeCore, type FakeCore } from "../../../fakes/core.ts";
import { collector } from "../served.ts";
import { adding, hello, type Said } from "./wire.ts";

const adminKey = "nika|00";

/** A session on a line that the test lets flow or not. */
function started(core: FakeCore) {
  const said = collector<Said>();
  const closed = collector<{ code: number; reason: string }>();
  const logged: string[] = [];
  const unsent: (() => void)[] = [];
  const parts = { core, nowMs: Date.now, requestId: () => "0", log: (line: string) => void logged.push(line) };
  const queries = openLiveQueries(parts);
  const session: Session = openSession({
    ...parts,
    queries,
    auth: openAuthenticator({ adminKey, providers: [], nowMs: Date.now }),
    wire: {
      send(text, onFlushed) {
        said.push(JSON.parse(text) as Said);
        if (onFlushed) unsent.push(onFlushed);
      },
      close: (code, reason) => closed.push({ code, reason }),
    },
  });
  const flush = (): void => {
    for (const done of unsent.splice(0)) done();
  };
  return { said, closed, logged, flush, queries, say: (message: unknown) => session.receive(JSON.stringify(message)) };
}

function counting(): FakeCore {
  return fakeCore({
    functions: {
      "c:get": { kind: "query", run: (db) => db.get("c") },
      "c:put": { kind: "mutation", run: (db, { value }) => db.put("c", value) },
    },
  });
}

test("a client that does not read gets two transitions, and later one with all it missed", async () => {
  const core = counting();
  const { said, flush, say, queries } = started(core);
  const transitions = (): Said[] => said.seen.filter(({ type }) => type === "Transition");
  say(hello);
  say(adding(0, "c:get"));
  for (let value = 1; value <= 30; value++) {
    await core.mutation({ path: "c:put", args: JSON.stringify({ value }), identity: { type: "none" }, requestId: "0" });
    await queries.ask({ path: "c:get", args: "{}", journal: null, identity: { type: "none" } });
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(transitions().length, 2);

  flush();
  await said.until((message) => JSON.stringify(message).includes('"value":30'));

  assert.equal(transitions().length, 3);
});

test("when the core cannot run queries the client is told to come back", async () => {
  const core: FakeCore = {
    ...counting(),
    queries: async () => {
      throw new Error("thread died");
    },
  };
  const { closed, logged, say } = started(core);
  say(hello);
  say(adding(0, "c:get"));

  assert.deepEqual(await closed.until(() => true), { code: 1013, reason: "InternalServerError" });
  assert.match(logged.join(), /thread died/);
});

test("a client that piles up mutations is told to slow down", async () => {
  const core: FakeCore = { ...counting(), mutation: () => new Promise(() => undefined) };
  const { closed, say } = started(core);
  say(hello);
  for (let requestId = 0; requestId < 1100; requestId++) {
    say({ type: "Mutation", requestId, udfPath: "c:put", args: [{}] });
    if (requestId % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  assert.deepEqual(await closed.until(() => true), { code: 1013, reason: "TooManyConcurrentRequests" });
});
