import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import { decodeId, encodeId, newInternalId } from "../../../../appliance/engine/codec/id.ts";

const vectors: readonly (readonly [number, string, string])[] = [
  [1, "00".repeat(16), "0400000000000000000000000000248"],
  [10001, "00".repeat(16), "j5700000000000000000000000001qv0"],
  [10001, "000102030405060708090a0b0c0d0e0f", "j57000820c20a1g7104gm2rc1m70ynr8"],
  [539, "ff".repeat(16), "kc2fzzzzzzzzzzzzzzzzzzzzzzzzz3x2"],
  [4294967295, "ab".repeat(16), "zzzzzzrfnentqaxbnentqaxbnentqaxbnexrj"],
];

test("ids are written as the real backend writes them", () => {
  for (const [table, id, text] of vectors) {
    assert.equal(encodeId(table, Buffer.from(id, "hex")), text);
    assert.deepEqual(decodeId(text), { table, id: Uint8Array.from(Buffer.from(id, "hex")) });
  }
});

test("every id reads back as it was", () => {
  for (let round = 0; round < 2000; round++) {
    const table = randomInt(1, 2 ** 32);
    const id = Uint8Array.from(randomBytes(16));
    assert.deepEqual(decodeId(encodeId(table, id)), { table, id });
  }
});

test("the order of ids is the order of their bytes", () => {
  const ids = Array.from({ length: 200 }, () => Uint8Array.from(randomBytes(16)));
  const byBytes = ids.toSorted((a, b) => Buffer.compare(a, b)).map((id) => encodeId(10001, id));
  assert.deepEqual(byBytes, byBytes.toSorted());
});

test("anything but an id is refused", () => {
  const id = "j57000820c20a1g7104gm2rc1m70ynr8";
  for (const text of [
    "",
    "x",
    id.slice(1),
    `${id}0`,
    id.toUpperCase(),
    `k${id.slice(1)}`,
    `${id.slice(0, -1)}9`,
    id.replace("2", "l"),
    "0".repeat(32),
    "é".repeat(32),
  ])
    assert.equal(decodeId(text), undefined, text);
});

test("no two texts are one id", () => {
  const digits = "0123456789abcdefghjkmnpqrstvwxyz";
  let read = 0;
  for (let round = 0; round < 50_000; round++) {
    const id = encodeId(randomInt(1, 2 ** randomInt(1, 33)), Uint8Array.from(randomBytes(16)));
    const at = randomInt(id.length);
    const text = [id.slice(0, at) + digits[randomInt(32)] + id.slice(at + 1), `${id}0`, id.slice(0, -1)][randomInt(10)] ?? id;
    const found = decodeId(text);
    if (found) assert.equal(encodeId(found.table, found.id), text);
    if (found) read++;
  }
  assert.ok(read > 10_000);
});

test("new ids differ and carry their day", () => {
  const ids = Array.from({ length: 1000 }, () => newInternalId(86_400_000 * 300));
  assert.equal(new Set(ids.map((id) => Buffer.from(id).toString("hex"))).size, 1000);
  assert.deepEqual([...(ids[0] as Uint8Array).subarray(14)], [1, 44]);
});
