import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeCore, type FakeCore, type FakeFunctions } from "../../../fakes/core.ts";
import { parseTs } from "../../../../appliance/engine/sync/protocol.ts";
import { serve } from "../served.ts";
import { adding, bare, hello, type Said } from "./wire.ts";

const functions: FakeFunctions = {
  "a:get": { kind: "query", run: (db, { key }) => db.get(String(key)) },
  "a:big": { kind: "query", run: (db) => "é".repeat(Number(db.get("size") ?? 3_000_000)) + "!" },
  "a:put": { kind: "mutation", run: (db, { key, value }) => db.put(String(key), value) },
  "a:wait": { kind: "action", run: async () => "waited" },
};
type Version = { querySet: number; identity: number; ts: string };
const versions = (message: Said): [Version, Version] => [message["startVersion"] as Version, message["endVersion"] as Version];
const isTransition = (message: Said): boolean => message.type === "Transition";

async function started(core: FakeCore = fakeCore({ functions })) {
  const served = await serve(async () => core);
  return { served, core };
}

test("each transition starts where the one before ended and time never goes backwards", async () => {
  const { served } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  for (let i = 0; i < 20; i++) {
    socket.send(adding(i, "a:get", { key: `k${i % 5}` }));
    socket.send({ type: "Mutation", requestId: i, udfPath: "a:put", args: [{ key: `k${i % 3}`, value: i }] });
  }
  await socket.until((message) => message.type === "MutationResponse" && message["requestId"] === 19);
  await socket.until((message) => isTransition(message) && versions(message)[1].querySet === 20);

  let at: Version = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
  for (const message of socket.said.filter(isTransition)) {
    const [start, end] = versions(message);
    assert.deepEqual(start, at);
    assert.ok(parseTs(end.ts) >= parseTs(start.ts));
    at = end;
  }
});

test("a mutation is answered before any transition that shows it", async () => {
  const { served } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send(adding(0, "a:get", { key: "k" }));
  await socket.until(isTransition);
  for (let i = 0; i < 50; i++) socket.send({ type: "Mutation", requestId: i, udfPath: "a:put", args: [{ key: "k", value: i }] });
  await socket.until((message) => JSON.stringify(message["modifications"] ?? "").includes('"value":49'));

  let shown = 0n;
  for (const message of socket.said) {
    if (isTransition(message)) shown = parseTs(versions(message)[1].ts);
    if (message.type === "MutationResponse") assert.ok(parseTs(message["ts"]) > shown);
  }
});

test("a mutation that changes nothing this client sees is confirmed by an empty transition", async () => {
  const { served } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send({ type: "Mutation", requestId: 0, udfPath: "a:put", args: [{ key: "k", value: 1 }] });

  const answer = await socket.until((message) => message.type === "MutationResponse");
  const confirmed = await socket.until(isTransition);

  assert.deepEqual(confirmed["modifications"], []);
  assert.ok(parseTs(versions(confirmed)[1].ts) >= parseTs(answer["ts"]));
});

test("a mutation sent again over a new socket is not run again and is confirmed again", async () => {
  const { served } = await started();
  await using _ = served;
  const message = { type: "Mutation", requestId: 7, udfPath: "a:put", args: [{ key: "k", value: 1 }] };
  const answers: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    await using socket = await bare(served.url);
    socket.send(hello);
    socket.send(message);
    answers.push((await socket.until((said) => said.type === "MutationResponse"))["ts"]);
    await socket.until(isTransition);
  }

  assert.equal(answers[0], answers[1]);
});

test("a failed mutation is answered with its message and needs no transition", async () => {
  const { served } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send({ type: "Mutation", requestId: 0, udfPath: "a:nothing", args: [{}] });
  socket.send({ type: "Action", requestId: 1, udfPath: "a:wait", args: [{}] });

  const answer = await socket.until((message) => message.type === "MutationResponse");
  const acted = await socket.until((message) => message.type === "ActionResponse");

  assert.equal(answer["success"], false);
  assert.match(String(answer["result"]), /a:nothing/);
  assert.equal(acted["result"], "waited");
  assert.equal(socket.said.filter(isTransition).length, 0);
});

test("a result too large for one message comes in slices that make one transition", async () => {
  const { served } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send(adding(0, "a:big"));
  const whole = await socket.until(isTransition);
  assert.equal(socket.said.length, 1);
  assert.ok(JSON.stringify(whole).length < 5 * 1024 * 1024);

  socket.send({ type: "Mutation", requestId: 0, udfPath: "a:put", args: [{ key: "size", value: 9_000_000 }] });
  await socket.until(
    (message) => message.type === "TransitionChunk" && Number(message["partNumber"]) + 1 === message["totalParts"],
  );

  const chunks = socket.said.filter(({ type }) => type === "TransitionChunk");
  const joined = JSON.parse(chunks.map((one) => one["chunk"]).join("")) as { modifications: { value: string }[] };
  assert.equal(chunks.length, 3);
  assert.equal(joined.modifications[0]?.value.length, 9_000_001);
});

test("a query that is overtaken by every write still reaches the client", async () => {
  const { served, core } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  let release = core.holdQueries();
  let value = 0;
  const write = async (): Promise<void> => {
    await core.mutation({
      path: "a:put",
      args: JSON.stringify({ key: "k", value: value++ }),
      identity: { type: "none" },
      requestId: "0",
    });
  };
  socket.send(hello);
  socket.send(adding(0, "a:get", { key: "k" }));
  const arrived = socket.until(isTransition);
  const isDone = (): boolean => socket.said.some(isTransition);
  // Each run is written over before it comes back.
  while (!isDone()) {
    await write();
    release();
    release = core.holdQueries();
  }
  release();

  assert.equal((await arrived)["type"], "Transition");
});

test("a removed query is answered and not run for again", async () => {
  const { served, core } = await started();
  await using _ = served;
  await using socket = await bare(served.url);
  socket.send(hello);
  socket.send(adding(0, "a:get", { key: "k" }));
  await socket.until(isTransition);
  socket.send({ type: "ModifyQuerySet", baseVersion: 1, newVersion: 2, modifications: [{ type: "Remove", queryId: 0 }] });
  await socket.until((message) => JSON.stringify(message["modifications"]).includes("QueryRemoved"));
  socket.send({ type: "Mutation", requestId: 0, udfPath: "a:put", args: [{ key: "k", value: 1 }] });
  await socket.until((message) => message.type === "MutationResponse");

  assert.equal(core.ran.length, 1);
  assert.equal(served.engine.stats().subscriptions, 0);
});

const wrong: readonly [string, unknown[]][] = [
  ["a message before Connect", [{ type: "Mutation", requestId: 0, udfPath: "a:put", args: [{}] }]],
  ["Connect twice", [hello, hello]],
  ["an unknown type", [hello, { type: "Dance" }]],
  ["a wrong base version", [hello, { type: "ModifyQuerySet", baseVersion: 3, newVersion: 4, modifications: [] }]],
  ["a wrong identity version", [hello, { type: "Authenticate", baseVersion: 1, tokenType: "None" }]],
  ["a query id used twice", [hello, adding(0, "a:get"), { ...adding(0, "a:get"), baseVersion: 1, newVersion: 2 }]],
  ["arguments that are no list", [hello, { type: "Mutation", requestId: 0, udfPath: "a:put", args: {} }]],
  ["a number as a path", [hello, { type: "Mutation", requestId: 0, udfPath: 7, args: [{}] }]],
  ["a component", [hello, { type: "Mutation", requestId: 0, udfPath: "a:put", args: [{}], componentPath: "x" }]],
  ["removing what is not there", [hello, { ...adding(0, ""), modifications: [{ type: "Remove", queryId: 4 }] }]],
];
for (const [name, messages] of wrong)
  test(`${name} ends the connection with a FatalError`, async () => {
    const { served } = await started();
    await using _ = served;
    await using socket = await bare(served.url);
    for (const message of messages) socket.send(message);

    assert.equal((await socket.closed).code, 1008);
    assert.equal(socket.said.at(-1)?.type, "FatalError");
  });

test("hundreds of malformed messages break no other connection", async () => {
  const { served } = await started();
  await using _ = served;
  await using good = await bare(served.url);
  good.send(hello);
  good.send(adding(0, "a:get", { key: "k" }));
  await good.until(isTransition);
  const fields = [
    "type",
    "baseVersion",
    "newVersion",
    "modifications",
    "requestId",
    "udfPath",
    "args",
    "tokenType",
    "value",
    "sessionId",
  ];
  const values = [null, -1, 1.5, 1e99, "", "x", [], {}, [[]], [null], true, "\uD800", { type: "Add" }, "AAAA"];
  const types = ["Connect", "Authenticate", "ModifyQuerySet", "Mutation", "Action", "Event", "__proto__"];
  let seed = 1;
  const pick = <T>(list: readonly T[]): T => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return list[seed % list.length] as T;
  };
  const texts = ["", "{", "[]", "null", "7", '"x"', "\0", "{}", '{"type":null}', "[".repeat(20_000)];
  for (let round = 0; round < 60; round++) {
    await using socket = await bare(served.url);
    if (round % 3 > 0) socket.send(hello);
    for (let i = 0; i < 6; i++) {
      if (round % 4 === 0) socket.sendRaw(pick(texts));
      else if (round % 7 === 0) socket.sendRaw(Buffer.from([seed & 255, 0, 255]));
      else socket.send({ type: pick(types), [pick(fields)]: pick(values), [pick(fields)]: pick(values) });
    }
    socket.sendRaw("the end");
    await socket.closed;
    assert.ok(socket.said.some(({ type }) => type === "FatalError" || type === "AuthError"));
  }

  good.send({ type: "Mutation", requestId: 0, udfPath: "a:put", args: [{ key: "k", value: "alive" }] });
  await good.until((message) => JSON.stringify(message).includes('"value":"alive"'));
  assert.deepEqual(served.logged, []);
});
