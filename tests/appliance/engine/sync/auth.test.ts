import assert from "node:assert/strict";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { fakeCore, type FakeCore } from "../../../fakes/core.ts";
import { issuer } from "../auth/issuer.ts";
import { adminKey, collector, serve, type Served } from "../served.ts";
import { adding, bare, hello } from "./wire.ts";

const who = makeFunctionReference<"query", Record<string, never>, string | null>("who:am");
const ours = await issuer();

function core(): FakeCore {
  return fakeCore({
    authProviders: [ours.provider],
    functions: {
      "who:am": { kind: "query", run: (db) => db.who() },
      "who:same": { kind: "query", run: (db) => db.get("x") },
      "who:put": { kind: "mutation", run: (db) => db.put("x", 1) },
      // Looks at who asks only once there is something to hide.
      "who:sometimes": { kind: "query", run: (db) => (db.get("x") === null ? "open" : db.who()) },
    },
  });
}

async function withClock(): Promise<{ served: Served; clock: { aheadMs: number }; core: FakeCore }> {
  const clock = { aheadMs: 0 };
  const made = core();
  return { served: await serve(async () => made, { nowMs: () => Date.now() + clock.aheadMs }), clock, core: made };
}

test("queries run again as somebody else when a client signs in and out", async () => {
  await using served = await serve(async () => core());
  const client = served.client();
  const seen = collector<string | null>();
  client.onUpdate(who, {}, seen.push);
  await seen.until((value) => value === null);

  client.setAuth(async () => ours.mint());
  await seen.until((value) => value === "owner");
  client.client.clearAuth();
  const before = seen.seen.length;
  await seen.until(() => seen.seen.length > before);

  assert.equal(seen.seen.at(-1), null);
});

test("a client whose token is refused brings another, and works", async () => {
  await using served = await serve(async () => core());
  const client = served.client();
  const seen = collector<string | null>();
  client.setAuth(async ({ forceRefreshToken }) => ours.mint(forceRefreshToken ? {} : { exp: 1 }));
  client.onUpdate(who, {}, seen.push);

  assert.equal(await seen.until((value) => value !== null), "owner");
});

test("a client with nothing but foreign tokens ends up as nobody, and is told", async () => {
  await using served = await serve(async () => core());
  const foreign = await issuer();
  const client = served.client();
  const isSignedIn = collector<{ is: boolean }>();
  client.setAuth(
    async () => foreign.mint({ jti: crypto.randomUUID() }),
    (is) => isSignedIn.push({ is }),
  );

  assert.equal((await isSignedIn.until(() => true)).is, false);
});

test("a token that runs out while connected ends the connection with a reason to bring another", async () => {
  const { served, clock } = await withClock();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send({ type: "Authenticate", baseVersion: 0, tokenType: "User", value: await ours.mint() });
  socket.send(adding(0, "who:am"));
  await socket.until((message) => message.type === "Transition" && JSON.stringify(message).includes("owner"));

  clock.aheadMs = 2 * 3600_000;
  socket.send({ type: "Mutation", requestId: 0, udfPath: "who:put", args: [{}] });
  await socket.closed;

  const error = socket.said.at(-1);
  assert.deepEqual([error?.type, error?.["authUpdateAttempted"], error?.["baseVersion"]], ["AuthError", false, 1]);
  assert.ok(!socket.said.some(({ type }) => type === "MutationResponse"));
});

test("a wrong admin key is refused and nothing sent with it is done", async () => {
  const made = core();
  await using served = await serve(async () => made);
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send({ type: "Authenticate", baseVersion: 0, tokenType: "Admin", value: `${adminKey}0` });
  socket.send({ type: "Mutation", requestId: 0, udfPath: "who:put", args: [{}] });
  await socket.closed;

  assert.deepEqual(
    socket.said.map(({ type }) => type),
    ["AuthError"],
  );
});

test("an admin may act as a user", async () => {
  await using served = await serve(async () => core());
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send({ type: "Authenticate", baseVersion: 0, tokenType: "Admin", value: adminKey, impersonating: { subject: "ada" } });
  socket.send(adding(0, "who:am"));

  await socket.until((message) => JSON.stringify(message).includes('"value":"ada"'));
});

test("askers share a result that does not depend on them, and never one that does", async () => {
  const { served, core: made } = await withClock();
  await using _ = served;
  const ask = async (subject: string, path: string) => {
    const socket = await bare(served.url);
    socket.send({ ...hello, sessionId: subject });
    socket.send({ type: "Authenticate", baseVersion: 0, tokenType: "User", value: await ours.mint({ sub: subject }) });
    socket.send(adding(0, path));
    await socket.until((message) => message.type === "Transition" && JSON.stringify(message).includes("QueryUpdated"));
    return socket;
  };
  await using _a = await ask("ada", "who:same");
  await using _b = await ask("bob", "who:same");
  assert.deepEqual(made.ran, ["who:same"]);

  await using ada = await ask("ada", "who:sometimes");
  await using bob = await ask("bob", "who:sometimes");
  assert.equal(made.ran.filter((path) => path === "who:sometimes").length, 1);
  ada.send({ type: "Mutation", requestId: 0, udfPath: "who:put", args: [{}] });
  await ada.until((message) => JSON.stringify(message).includes('"value":"ada"'));
  await bob.until((message) => JSON.stringify(message).includes('"value":"bob"'));

  assert.ok(!JSON.stringify(bob.said).includes("ada"));
  assert.ok(!JSON.stringify(ada.said).includes("bob"));
});
