/** What must hold for any value. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { compareValues as referenceOrder, convexToJson, getConvexSize, jsonToConvex, type Value } from "convex/values";
import { decodeId, encodeId } from "../../../../appliance/engine/codec/id.ts";
import { compareKeys, compareValues, encodeKey } from "../../../../appliance/engine/codec/key.ts";
import { checkedSize, type Json } from "../../../../appliance/engine/codec/value.ts";
import { random } from "../../vectors/random.ts";
import { asText, randomValue } from "../differential/randomValue.ts";

const from = random(20_261_121);
const values: readonly (Value | undefined)[] = [undefined, ...Array.from({ length: 400 }, () => randomValue(from, 3))];
const toJson = (value: Value | undefined): Json | undefined => (value === undefined ? undefined : convexToJson(value));
const encoded = values.map((value) => ({ value, json: toJson(value), key: encodeKey([toJson(value)]) }));
const sign = (order: number) => Math.sign(order) + 0;

test("keys are in the order that Convex's client gives values", () => {
  for (const one of encoded)
    for (const other of encoded) {
      const wanted = sign(referenceOrder(one.value, other.value));
      const say = () =>
        `${one.value === undefined ? "undefined" : asText(one.value)} and ${other.value === undefined ? "undefined" : asText(other.value)}`;
      assert.equal(sign(compareKeys(one.key, other.key)), wanted, say());
      assert.equal(sign(compareValues(one.json, other.json)), wanted, say());
    }
});

test("keys of two fields are in the order of the first, then of the second", () => {
  for (let round = 0; round < 20_000; round++) {
    const [a, b, c, d] = Array.from({ length: 4 }, () => encoded[from.below(encoded.length)]!) as [
      (typeof encoded)[number],
      (typeof encoded)[number],
      (typeof encoded)[number],
      (typeof encoded)[number],
    ];
    const wanted = referenceOrder(a.value, c.value) || referenceOrder(b.value, d.value);
    assert.equal(sign(compareKeys(encodeKey([a.json, b.json]), encodeKey([c.json, d.json]))), sign(wanted));
  }
});

test("a value comes back from its encoding as it went in, and is as large as Convex says", () => {
  for (const { value, json } of encoded) {
    if (value === undefined || json === undefined) continue;
    assert.deepEqual(jsonToConvex(json as never), value);
    assert.equal(checkedSize(json), getConvexSize(value), asText(value));
  }
});

test("an id comes back as it went in, and no other text passes for it", () => {
  for (let round = 0; round < 2000; round++) {
    const id = Uint8Array.from(randomBytes(16));
    const table = 1 + from.below(round % 2 === 0 ? 20_000 : 0xffff_ffff);
    const text = encodeId(table, id);
    assert.deepEqual(decodeId(text), { table, id });
    const at = from.below(text.length);
    const letter = "0123456789abcdefghjkmnpqrstvwxyz"[from.below(32)] as string;
    const changed = text.slice(0, at) + letter + text.slice(at + 1);
    const decoded = decodeId(changed);
    if (decoded) assert.equal(encodeId(decoded.table, decoded.id), changed);
    assert.equal(decodeId(`${text}0`), undefined);
    assert.equal(decodeId(text.toUpperCase()), undefined);
  }
});
