import assert from "node:assert/strict";
import { test } from "node:test";
import { api, internal } from "../../../convex/_generated/api.js";
import type { DatasetPassage } from "../../../ml/dataset/pair.ts";
import { writtenOf } from "../../../functions/models/write.ts";
import { addText } from "../../contracts/lab.ts";
import { busy, fakeLanguageModel } from "../../fakes/languageModel.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const never = new AbortController().signal;
const words = "the boiler in the cellar was serviced in March and lost pressure soon after the man from Dupont had left us, call";

async function vault(state: FakeState, documents: number): Promise<DatasetPassage[]> {
  const passages: DatasetPassage[] = [];
  for (let at = 0; at < documents; at += 1) {
    const text = `${at} ${words} jean@dupont.fr`;
    const documentId = await addText(state, `${at}.txt`, text);
    const about = { title: "", headings: [], language: "en", entityType: "document" };
    passages.push({ documentId, ordinal: 0, text, body: text, ...about, scope: at === 0 ? "team" : "private" });
  }
  return passages;
}

const optionsOf = (state: FakeState) => ({
  state,
  writing: { passagesMax: 10, sends: false },
  isScrubbed: true,
  until: 100,
  signal: never,
  progress: () => {},
  pausesMs: [0, 0],
});

test("a model is asked about what may be learned from, without addresses, once; what it said is kept and made of it again", async () => {
  const state = openFakeState();
  const remembered = { passages: await vault(state, 4), scopes: ["private"] };
  let count = 0;
  // One answer is of no use, and that is kept, too.
  const model = fakeLanguageModel(() =>
    count++ === 1 ? "BANANA" : JSON.stringify({ questions: ["why does the heating fail"] }),
  );
  const first = await writtenOf(remembered, { ...optionsOf(state), languageModel: model });
  assert.equal(model.asked.length, 3);
  assert.ok(
    model.asked.every((content) => !content.startsWith("0 ") && content.includes("[email]") && !content.includes("dupont.fr")),
  );
  assert.deepEqual(
    first.written.map(({ questions }) => questions.length).toSorted((one, other) => one - other),
    [0, 1, 1],
  );
  const again = await writtenOf(remembered, { ...optionsOf(state), until: 200, languageModel: model });
  assert.deepEqual(again, first);
  assert.equal(model.asked.length, 3);
  // Once more from a record: nobody is asked, and nobody need be there.
  const writing = { passagesMax: 0, sends: false };
  assert.deepEqual(await writtenOf(remembered, { ...optionsOf(state), writing, languageModel: undefined }), first);
  assert.deepEqual(
    (await writtenOf(remembered, { ...optionsOf(state), until: 99, writing, languageModel: undefined })).written,
    [],
  );
  // What is about a forgotten document goes with it, and the rest with all that is remembered.
  const left = async () =>
    (await state.query(internal.written.page, { until: 1e15, paginationOpts: { cursor: null, numItems: 9 } })).written.length;
  await state.mutation(internal.uses.forget, { documentId: remembered.passages[1]!.documentId });
  assert.equal(await left(), 2);
  await state.mutation(internal.uses.eraseSome, {});
  assert.equal(await left(), 0);
});

test("nothing is asked where the owner did not ask for it, and nothing leaves the machine without his word", async () => {
  const state = openFakeState();
  const remembered = { passages: await vault(state, 3), scopes: ["private"] };
  const elsewhere = fakeLanguageModel(() => JSON.stringify({ questions: ["why does the heating fail"] }), { isHere: false });
  const options = { ...optionsOf(state), languageModel: elsewhere };
  assert.deepEqual(await writtenOf(remembered, { ...options, writing: undefined }), { written: [] });
  await assert.rejects(writtenOf(remembered, options), /2 passages would leave this one. Say --send/u);
  assert.equal(elsewhere.asked.length, 0);
  await assert.rejects(writtenOf(remembered, { ...options, languageModel: undefined }), /NIKA_LLM_URL/u);
  const { written } = await writtenOf(remembered, { ...options, writing: { passagesMax: 10, sends: true } });
  assert.equal(written.length, 2);
});

test("a model that stops answering is let go, and what it wrote until then is used", async () => {
  const state = openFakeState();
  const remembered = { passages: await vault(state, 6), scopes: ["private"] };
  let count = 0;
  const model = fakeLanguageModel(() => (count++ < 2 ? JSON.stringify({ questions: ["why does the heating fail"] }) : busy()));
  const { written, stopped } = await writtenOf(remembered, { ...optionsOf(state), languageModel: model });
  assert.equal(written.length, 2);
  assert.match(stopped!, /asks to slow down. 2 of 5 passages were asked about/u);
  // Hung up on, it is cancelled and not taken for an answer.
  const signal = AbortSignal.abort();
  await assert.rejects(writtenOf(remembered, { ...optionsOf(state), signal, languageModel: model }));
});

test("how much a language model may be asked is bounded", async () => {
  const state = openFakeState();
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  await assert.rejects(
    state.owner.mutation(api.models.train, { writing: { passagesMax: 5_000, sends: false } }),
    /1 to 2000 passages/u,
  );
});
