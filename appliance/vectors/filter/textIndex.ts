/** A full-text index over one key: which slots hold which token, and, for phrases, in which order. */
import { SlotList, intersect, keep, union } from "../index/slots.ts";
import type { Test } from "./filter.ts";
import type { FieldIndex } from "./fieldIndex.ts";
import type { Tokenizer } from "./tokens.ts";

/** Stands between the elements of an array, so that no phrase reaches from one into the next. */
const border = "\0";

/** A token that some text holds. Texts are kept as numbers: as strings they would take ten times the room. */
type Known = { readonly number: number; readonly slots: SlotList };

export function textIndex(tokenizer: Tokenizer): FieldIndex {
  const known = new Map<string, Known>();
  const orders = new Map<number, Uint32Array>();
  let numbers = 0;
  let points = 0;
  const textsOf = (values: readonly unknown[]): string[] => values.filter((value) => typeof value === "string");
  const tokensOf = (texts: readonly string[]): string[] =>
    texts.flatMap((text, i) => [...(i > 0 ? [border] : []), ...tokenizer.ofText(text)]);
  const found = (tokens: readonly string[]): Uint32Array[] => tokens.map((token) => known.get(token)?.slots.view() ?? none);
  const know = (token: string): Known => {
    let entry = known.get(token);
    if (!entry) known.set(alone(token), (entry = { number: numbers++, slots: new SlotList(1) }));
    return entry;
  };

  const all = (tokens: readonly string[], among: Uint32Array): Uint32Array => {
    if (tokens.length === 0) return none;
    const shortestFirst = found([...new Set(tokens)]).sort((a, b) => a.length - b.length);
    return shortestFirst.reduce(intersect, among);
  };
  const hasPhrase = (slot: number, phrase: readonly (number | undefined)[]): boolean => {
    const order = orders.get(slot) ?? none;
    return order.some((_, at) => phrase.every((number, i) => order[at + i] === number));
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
      const entries = tokens.map(know);
      for (const { slots } of new Set(entries)) slots.add(slot);
      if (tokenizer.hasPhrases)
        orders.set(
          slot,
          Uint32Array.from(entries, ({ number }) => number),
        );
      points++;
    },
    remove(slot, values) {
      const texts = textsOf(values);
      if (texts.length === 0) return;
      for (const token of new Set(tokensOf(texts))) {
        const slots = known.get(token)?.slots;
        slots?.delete(slot);
        if (slots?.size === 0) known.delete(token);
      }
      orders.delete(slot);
      points--;
    },
    replace(slot, before, after) {
      const [old, texts] = [textsOf(before), textsOf(after)];
      const entries = tokensOf(texts).map(know);
      const kept = new Set(entries);
      for (const token of new Set(tokensOf(old))) {
        const entry = known.get(token);
        // What both have is not moved.
        if (!entry || kept.delete(entry)) continue;
        entry.slots.delete(slot);
        if (entry.slots.size === 0) known.delete(token);
      }
      for (const { slots } of kept) slots.add(slot);
      if (texts.length === 0) orders.delete(slot);
      else if (tokenizer.hasPhrases)
        orders.set(
          slot,
          Uint32Array.from(entries, ({ number }) => number),
        );
      points += (texts.length > 0 ? 1 : 0) - (old.length > 0 ? 1 : 0);
    },
    select(test, among) {
      if (test.type === "text") return all(tokenizer.ofQuery(test.text), among);
      if (test.type === "textAny") return union(found(tokenizer.ofQuery(test.text)));
      if (test.type !== "phrase") return undefined;
      const tokens = tokenizer.ofText(test.text);
      const phrase = tokens.map((token) => known.get(token)?.number);
      return keep(all(tokens, among), (slot) => hasPhrase(slot, phrase));
    },
    estimate: (test) => (isAsked(test) ? points : undefined),
  };
}

const none = new Uint32Array(0);

/** The token without the text it was cut from, which a string cut from another keeps in memory (V8 cuts from 13 characters on). */
const alone = (token: string): string => (token.length < 13 ? token : Buffer.from(token, "utf16le").toString("utf16le"));
