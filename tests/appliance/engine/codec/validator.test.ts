import assert from "node:assert/strict";
import { test } from "node:test";
import { v } from "convex/values";
import { findArgsMismatch, findMismatch, type Validator } from "../../../../appliance/engine/codec/validator.ts";
import { toFloat, toInteger, type Json } from "../../../../appliance/engine/codec/value.ts";

const noteId = "j57000820c20a1g7104gm2rc1m70ynr8";
const tableOf = (number: number): string | undefined => (number === 10001 ? "notes" : undefined);
/** What `exportArgs()` would send: public in the code, left out of the published types. */
const jsonOf = (validator: object): Validator => (validator as { json: Validator }).json;
const check = (validator: object, value: Json): string | undefined => findMismatch(jsonOf(validator), value, tableOf);

test("each validator takes its own and nothing else", () => {
  const values: Record<string, Json> = {
    null: null,
    number: 1,
    special: toFloat(NaN),
    bigint: toInteger(1n),
    boolean: true,
    string: "text",
    bytes: { $bytes: "AA==" },
    id: noteId,
    array: [1],
    object: { a: 1 },
    empty: {},
  };
  const takers: readonly (readonly [object, readonly string[]])[] = [
    [v.null(), ["null"]],
    [v.number(), ["number", "special"]],
    [v.int64(), ["bigint"]],
    [v.boolean(), ["boolean"]],
    [v.string(), ["string", "id"]],
    [v.bytes(), ["bytes"]],
    [v.id("notes"), ["id"]],
    [v.array(v.number()), ["array"]],
    [v.object({ a: v.number() }), ["object"]],
    [v.object({ a: v.optional(v.number()) }), ["object", "empty"]],
    [v.record(v.string(), v.number()), ["object", "empty"]],
    [v.literal("text"), ["string"]],
    [v.union(v.null(), v.boolean()), ["null", "boolean"]],
    [v.union(), []],
    [v.any(), Object.keys(values)],
  ];
  for (const [validator, wanted] of takers)
    assert.deepEqual(
      Object.keys(values).filter((name) => check(validator, values[name] as Json) === undefined),
      wanted,
      JSON.stringify(jsonOf(validator)),
    );
});

test("a mismatch names its path, the value and the validator", () => {
  assert.equal(
    check(v.object({ a: v.object({ b: v.string() }) }), { a: { b: 1 } }),
    "Value does not match validator.\nPath: .a.b\nValue: 1.0\nValidator: v.string()",
  );
  assert.match(
    check(v.object({ body: v.string() }), {}) ?? "",
    /^Object is missing the required field `body`\. Consider wrapping the field validator in `v\.optional/,
  );
  assert.match(check(v.object({}), { more: 1 }) ?? "", /^Object contains extra field `more` that is not in the validator\./);
  assert.match(check(v.literal("a"), "b") ?? "", /^`"b"` does not match literal validator `v\.literal\("a"\)`/);
});

test("an id of another table is told apart from what is no id", () => {
  assert.match(
    check(v.id("people"), noteId) ?? "",
    /Found ID ".+" from table `notes`, which does not match the table name in validator `v\.id\("people"\)`/,
  );
  assert.match(check(v.id("notes"), "nonsense") ?? "", /Value does not match validator/);
});

test("a union of one reports its member's own complaint", () => {
  assert.match(check(v.union(v.object({ a: v.string() })), {}) ?? "", /missing the required field/);
});

test("arguments are one object", () => {
  const validator = jsonOf(v.object({}));
  assert.match(findArgsMismatch(validator, [], tableOf) ?? "", /^ArgumentValidationError/);
  assert.equal(findArgsMismatch(validator, [{}], tableOf), undefined);
  assert.equal(findArgsMismatch({ type: "any" }, [], tableOf), undefined);
});
