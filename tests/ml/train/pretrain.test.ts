import assert from "node:assert/strict";
import { test } from "node:test";
import { toBag } from "../../../ml/train/bag.ts";
import { embedTexts } from "../../../ml/train/model.ts";
import { openPretraining, type Beginning } from "../../../ml/train/pretrain.ts";
import { composeTable, firstFeatures } from "../../../ml/train/rows.ts";
import { learnVocabulary } from "../../../ml/train/vocabulary.ts";

const dimensions = 96;
const texts = [
  ..."fonu kale|mina tose".split("|").flatMap((pair) => Array.from({ length: 6 }, (_, at) => `Paper of the firm ${pair} n${at}`)),
  ...Array.from({ length: 12 }, (_, at) => `Paper of the firm about n${at} and ${"abcdefghijkl"[at]!.repeat(5)}`),
];
const questions = [{ query: "gruba", about: 0, weight: 1 }];
const vocabulary = learnVocabulary([...texts, ...questions.map(({ query }) => query)]);
const features = firstFeatures(vocabulary, dimensions);
const bagOf = (text: string) => toBag(text, vocabulary);
const pretraining = openPretraining(features, {
  passages: texts.map(bagOf),
  asked: questions.map(({ query, ...rest }) => ({ words: bagOf(query), ...rest })),
});

function likeness(beginning: Beginning, one: string, other: string): number {
  const model = { vocabulary, dimensions, table: composeTable(features, pretraining.begin(beginning)) };
  const [a, b] = embedTexts(model, [one, other]);
  return a!.reduce((sum, value, at) => sum + value * b![at]!, 0);
}

const plain: Beginning = { isEven: false, company: 0, use: 0 };

test("made even, what all papers say counts less than what one of them says", () => {
  const [shared, apart] = ["Paper of the firm aaaaa", "Paper of the firm bbbbb"];
  assert.ok(likeness({ ...plain, isEven: true }, shared, apart) < likeness(plain, shared, apart) - 0.1);
});

test("words that stand in the same passages come together, and words that do not stay apart", () => {
  const kept: Beginning = { isEven: false, company: 0.5, use: 0 };
  assert.ok(likeness(kept, "fonu", "kale") > likeness(plain, "fonu", "kale") + 0.1);
  assert.ok(likeness(kept, "fonu", "kale") > likeness(kept, "fonu", "tose") + 0.05);
});

test("a word that stands in no paper comes near to the paper that was used for it", () => {
  const [without, used] = ([0, 1] as const).map((use) => likeness({ isEven: true, company: 0.5, use }, "gruba", "fonu kale"));
  assert.ok(used! > without! + 0.2, `${without} to ${used}`);
});
