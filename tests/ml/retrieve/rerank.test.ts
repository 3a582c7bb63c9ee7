import assert from "node:assert/strict";
import { test } from "node:test";
import { rerank } from "../../../ml/retrieve/rerank.ts";

const passage = (name: string, text: string, score: number, title = "") => ({ name, text, title, score });
const order = (question: string, ...candidates: ReturnType<typeof passage>[]): string[] =>
  rerank(candidates, question).map(({ name }) => name);

test("between passages the search ranked alike, the one whose sentence holds the whole question comes first", () => {
  const scattered = passage("scattered", "The lease is in the drawer. The boat was sold. The workshop burned.", 1);
  const answering = passage("answering", "Nothing here. The lease of the workshop ends in June.", 1);
  assert.deepEqual(order("when does the lease of the workshop end?", scattered, answering), ["answering", "scattered"]);
});

test("a rare word of the question counts more than one that all candidates share", () => {
  const common = passage("common", "The archive has rules. The archive has keys.", 1);
  const rare = passage("rare", "The archive holds the Bababan papers.", 1);
  const other = passage("other", "The archive closes at noon.", 0.4);
  assert.equal(order("Bababan archive", common, rare, other)[0], "rare");
});

test("the title stands for words that the passage does not repeat", () => {
  const titled = passage("titled", "It is kept by Ada Lorne.", 1, "Keys of the ferry");
  const untitled = passage("untitled", "It is painted blue.", 1, "Colours of the barn");
  assert.deepEqual(order("keys of the ferry", untitled, titled), ["titled", "untitled"]);
});

test("a clear lead in the search is not overturned by a lone shared word", () => {
  const leader = passage("leader", "Rent is due on the first of the month, in advance.", 1);
  const straggler = passage("straggler", "Rent.", 0.1);
  assert.equal(order("when is rent due", straggler, leader)[0], "leader");
});

test("what shares no word with the question is left out when words are all that counts, but not a word with a slip in it", () => {
  const related = passage("related", "The insurance covers storms.", 0.5);
  const stray = passage("stray", "The ferry leaves at six.", 1);
  const left = (question: string, needsWords: boolean): string[] =>
    rerank([stray, related], question, { needsWords }).map(({ name }) => name);
  assert.deepEqual(left("insurance", true), ["related"]);
  assert.deepEqual(left("insurrance", true), ["related"]);
  assert.deepEqual(left("budget", true), []);
  assert.equal(left("budget", false).length, 2);
});

test("scores stay between 0 and 1, ties keep their order, and nothing is lost or invented", () => {
  const same = [passage("a", "same words", 1), passage("b", "same words", 1), passage("c", "other", 0.2)];
  const ranked = rerank(same, "same words");
  assert.deepEqual(
    ranked.map(({ name }) => name),
    ["a", "b", "c"],
  );
  for (const { score } of ranked) assert(score >= 0 && score <= 1);
  assert.deepEqual(rerank([], "anything"), []);
  assert.deepEqual(order("?!", passage("x", "text", 0.5)), ["x"]);
});
