/** Filter expressions, with Convex's semantics: one total order over all values, no coercions, a missing field is undefined. */
import { compareValues } from "../codec/key.ts";
import {
  asText,
  DeveloperError,
  fieldAt,
  isPlainObject,
  toFloat,
  toInteger,
  toSpecial,
  type Json,
  type JsonObject,
} from "../codec/value.ts";

/** Undefined stands for a missing field. */
export function evaluate(expression: Json, document: JsonObject): Json | undefined {
  if (!isPlainObject(expression)) throw new DeveloperError("Malformed filter expression.");
  const [entry] = Object.entries(expression);
  if (!entry) throw new DeveloperError("Malformed filter expression.");
  const [operator, operand] = entry;
  if (operator === "$literal") return isUndefined(operand) ? undefined : operand;
  if (operator === "$field") return fieldAt(document, asText(operand));
  if (operator === "$not") return !toBoolean(evaluate(operand, document));
  if (operator === "$neg") return negate(evaluate(operand, document));
  if (!Array.isArray(operand)) throw new DeveloperError(`Malformed filter expression ${operator}.`);
  if (operator === "$and") return operand.every((one) => toBoolean(evaluate(one, document)));
  if (operator === "$or") return operand.some((one) => toBoolean(evaluate(one, document)));
  const [left, right] = operand;
  if (left === undefined || right === undefined) throw new DeveloperError(`Malformed filter expression ${operator}.`);
  return binary(operator, evaluate(left, document), evaluate(right, document));
}

function binary(operator: string, a: Json | undefined, b: Json | undefined): Json {
  switch (operator) {
    case "$eq":
      return compareValues(a, b) === 0;
    case "$neq":
      return compareValues(a, b) !== 0;
    case "$lt":
      return compareValues(a, b) < 0;
    case "$lte":
      return compareValues(a, b) <= 0;
    case "$gt":
      return compareValues(a, b) > 0;
    case "$gte":
      return compareValues(a, b) >= 0;
    default:
      return arithmetic(operator, toNumber(a), toNumber(b));
  }
}

function arithmetic(operator: string, a: number | bigint, b: number | bigint): Json {
  if (typeof a === "bigint" && typeof b === "bigint") return checkedInteger(onIntegers(operator, a, b));
  if (typeof a === "number" && typeof b === "number") return toFloat(onFloats(operator, a, b));
  throw new DeveloperError("Arithmetic needs two numbers of the same type.");
}

function onIntegers(operator: string, a: bigint, b: bigint): bigint {
  if ((operator === "$div" || operator === "$mod") && b === 0n) throw new DeveloperError("Division by zero.");
  if (operator === "$add") return a + b;
  if (operator === "$sub") return a - b;
  if (operator === "$mul") return a * b;
  if (operator === "$div") return a / b;
  if (operator === "$mod") return a % b;
  throw new DeveloperError(`Unknown filter operator ${operator}.`);
}

function onFloats(operator: string, a: number, b: number): number {
  if (operator === "$add") return a + b;
  if (operator === "$sub") return a - b;
  if (operator === "$mul") return a * b;
  if (operator === "$div") return a / b;
  if (operator === "$mod") return a % b;
  throw new DeveloperError(`Unknown filter operator ${operator}.`);
}

function negate(value: Json | undefined): Json {
  const number = toNumber(value);
  return typeof number === "bigint" ? checkedInteger(-number) : toFloat(-number);
}

function checkedInteger(value: bigint): Json {
  if (BigInt.asIntN(64, value) !== value) throw new DeveloperError("Integer overflow in a filter.");
  return toInteger(value);
}

function toNumber(value: Json | undefined): number | bigint {
  if (typeof value === "number") return value;
  const special = isPlainObject(value) ? toSpecial(value) : undefined;
  if (special?.type === "int64" || special?.type === "float") return special.value;
  throw new DeveloperError("Arithmetic in a filter needs numbers.");
}

export function toBoolean(value: Json | undefined): boolean {
  if (typeof value !== "boolean") throw new DeveloperError("A filter must give a boolean.");
  return value;
}

export function isUndefined(value: Json | undefined): boolean {
  return isPlainObject(value) && toSpecial(value)?.type === "undefined";
}
