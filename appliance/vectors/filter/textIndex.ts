/** A full-text index over one key: which slots hold which token, and, for phrases, in which order. */
import { SlotList, intersect, keep, union } from "../index/slots.ts";
import type { Test } from "./filter.ts";
import type { FieldIndex } from "./fieldIndex.ts";
import type { Tokenizer } from "./tokens.ts";

/** Stands between the elements of an array, so that no phrase reaches from one into the next. */
const border = "\0";

export function textIndex(tokenizer: Tokenizer): FieldIndex {
  const lists = new Map<string, SlotList>();
  const orders = new Map<number, readonly string[]>();
  let points = 0;
  const textsOf = (values: readonly unknown[]): string[] => values.filter((value) => typeof value === "string");
  const tokensOf = (texts: readonly string[]): string[] =>
    texts.flatMap((text, i) => [...(i > 0 ? [border] : []), ...tokenizer.ofText(text)]);
  const found = (tokens: readonly string[]): Uint32Array[] => tokens.map((token) => lists.get(token)?.view() ?? none);

  const all = (tokens: readonly string[], among: Uint32Array): Uint32Array => {
    if (tokens.length === 0) return none;
    const shortestFirst = found([...new Set(tokens)]).sort((a, b) => a.length - b.length);
    return shortestFirst.reduce(intersect, among);
  };
  const hasPhrase = (slot: number, tokens: readonly string[]): boolean => {
    const order = orders.get(slot) ?? [];
    return order.some((_, at) => tokens.every((token, i) => order[at + i] === token));
  };
  const isAsked = (test: Test): boolean => test.type === "text" || test.type === "textAny" || test.type === "phrase";
  return {
    get points() {
      return points;
    },
    add(slot, values) {
      const texts = textsOf(values);
      if (texts.length === 0) return;
      const tokens = tokensOf(texts);
      for (const token of new Set(tokens)) {
        let list = lists.get(token);
        if (!list) lists.set(token, (list = new SlotList()));
        list.add(slot);
      }
      if (tokenizer.hasPhrases) orders.set(slot, tokens);
      points++;
    },
    remove(slot, values) {
      const texts = textsOf(values);
      if (texts.length === 0) return;
      for (const token of new Set(tokensOf(texts))) {
        const list = lists.get(token);
        list?.delete(slot);
        if (list?.size === 0) lists.delete(token);
      }
      orders.delete(slot);
      points--;
    },
    select(test, among) {
      if (test.type === "text") return all(tokenizer.ofQuery(test.text), among);
      if (test.type === "textAny") return union(found(tokenizer.ofQuery(test.text)));
      if (test.type !== "phrase") return undefined;
      const tokens = tokenizer.ofText(test.text);
      return keep(all(tokens, among), (slot) => hasPhrase(slot, tokens));
    },
    estimate: (test) => (isAsked(test) ? points : undefined),
  };
}

const none = new Uint32Array(0);
