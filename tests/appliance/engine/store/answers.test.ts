import assert from "node:assert/strict";
import { test } from "node:test";
import { openAnswers } from "../../../../appliance/engine/store/answers.ts";
import { openInMemory } from "../../../../appliance/engine/store/database.ts";

const sessions = ["one", "two", "three"];
const answer = (session: string, request: number) => ({
  ts: BigInt(request) + 1n,
  value: `"${session} ${request}"`,
  logLines: "[]",
});

test("an answer is found again wherever it lies by now, and after a restart", () => {
  const db = openInMemory();
  const answers = openAnswers(db);
  for (let request = 0; request < 1500; request++)
    for (const id of sessions) answers.add({ id, requestId: request }, answer(id, request), 0);
  for (const known of [answers, openAnswers(db)])
    for (const id of sessions) {
      for (const requestId of [0, 700, 1499]) assert.deepEqual({ ...known.find({ id, requestId }) }, answer(id, requestId));
      assert.equal(known.find({ id, requestId: 1500 }), undefined);
    }
  assert.equal(openAnswers(db).find({ id: "another", requestId: 0 }), undefined);
});

test("what was undone is not taken for answered", () => {
  const db = openInMemory();
  const answers = openAnswers(db);
  db.exec("BEGIN");
  answers.add({ id: "one", requestId: 7 }, answer("one", 7), 0);
  db.exec("ROLLBACK");
  assert.equal(answers.find({ id: "one", requestId: 7 }), undefined);
  answers.add({ id: "one", requestId: 7 }, answer("one", 7), 0);
  assert.equal(answers.find({ id: "one", requestId: 7 })?.value, '"one 7"');
});

test("of a long session only the last thousands are kept, and of old ones nothing", () => {
  const db = openInMemory();
  const answers = openAnswers(db);
  for (let requestId = 0; requestId < 7000; requestId++) answers.add({ id: "one", requestId }, answer("one", requestId), 5);
  assert.equal(answers.find({ id: "one", requestId: 10 }), undefined);
  assert.ok(answers.find({ id: "one", requestId: 3000 }));
  answers.sweep(6);
  assert.equal(answers.find({ id: "one", requestId: 6999 }), undefined);
});
