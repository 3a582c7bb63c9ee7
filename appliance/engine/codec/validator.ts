/** Convex's validators, as the JSON that `exportArgs()` and `schema.export()` give. */
import { decodeId } from "./id.ts";
import { describeValue, fieldName, toSpecial, type Json, type JsonObject } from "./value.ts";

export type Validator =
  | { readonly type: "null" | "number" | "bigint" | "commitTs" | "boolean" | "string" | "bytes" | "any" }
  | { readonly type: "literal"; readonly value: Json }
  | { readonly type: "id"; readonly tableName: string }
  | { readonly type: "array"; readonly value: Validator }
  | { readonly type: "record"; readonly keys: Validator; readonly values: { readonly fieldType: Validator } }
  | { readonly type: "object"; readonly value: Readonly<Record<string, Field>> }
  | { readonly type: "union"; readonly value: readonly Validator[] };
export type Field = { readonly fieldType: Validator; readonly optional: boolean };

/** Name of the table with this number; undefined when there is none. */
export type TableOf = (number: number) => string | undefined;

/** What is wrong with the value, in the real backend's words; undefined when nothing is. */
export function findMismatch(validator: Validator, value: Json, tableOf: TableOf): string | undefined {
  return mismatch(validator, value, "", tableOf);
}

function mismatch(validator: Validator, value: Json, path: string, tableOf: TableOf): string | undefined {
  switch (validator.type) {
    case "any":
      return undefined;
    case "null":
      return value === null ? undefined : noMatch(validator, value, path);
    case "boolean":
    case "string":
      return typeof value === validator.type ? undefined : noMatch(validator, value, path);
    case "number":
      return typeof value === "number" || specialType(value) === "float" ? undefined : noMatch(validator, value, path);
    case "bigint":
      return specialType(value) === "int64" ? undefined : noMatch(validator, value, path);
    case "bytes":
      return specialType(value) === "bytes" ? undefined : noMatch(validator, value, path);
    case "commitTs":
      return specialType(value) === "commitTs" || specialType(value) === "int64" ? undefined : noMatch(validator, value, path);
    case "literal":
      return isSame(validator.value, value)
        ? undefined
        : `\`${describeValue(value)}\` does not match literal validator \`${describeValidator(validator)}\`.${pathLine(path)}`;
    case "id":
      return idMismatch(validator, value, path, tableOf);
    case "array":
      return arrayMismatch(validator, value, path, tableOf);
    case "record":
      return recordMismatch(validator, value, path, tableOf);
    case "object":
      return objectMismatch(validator, value, path, tableOf);
    case "union": {
      const [only] = validator.value;
      if (validator.value.length === 1 && only) return mismatch(only, value, path, tableOf);
      const fits = validator.value.some((one) => mismatch(one, value, path, tableOf) === undefined);
      return fits ? undefined : noMatch(validator, value, path);
    }
  }
}

function idMismatch(validator: Validator & { type: "id" }, value: Json, path: string, tableOf: TableOf): string | undefined {
  const decoded = typeof value === "string" ? decodeId(value) : undefined;
  if (!decoded) return noMatch(validator, value, path);
  const found = tableOf(decoded.table);
  if (found === validator.tableName) return undefined;
  if (found === undefined) return noMatch(validator, value, path);
  return `Found ID "${value as string}" from table \`${found}\`, which does not match the table name in validator \`${describeValidator(validator)}\`.${pathLine(path)}`;
}

function arrayMismatch(
  validator: Validator & { type: "array" },
  value: Json,
  path: string,
  tableOf: TableOf,
): string | undefined {
  if (!Array.isArray(value)) return noMatch(validator, value, path);
  for (const [at, one] of value.entries()) {
    const wrong = mismatch(validator.value, one, `${path}[${at}]`, tableOf);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function recordMismatch(
  validator: Validator & { type: "record" },
  value: Json,
  path: string,
  tableOf: TableOf,
): string | undefined {
  if (!isObject(value)) return noMatch(validator, value, path);
  for (const key in value) {
    const wrong =
      mismatch(validator.keys, key, `${path}.keys()`, tableOf) ??
      mismatch(validator.values.fieldType, value[key] as Json, `${path}.values()`, tableOf);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function objectMismatch(
  validator: Validator & { type: "object" },
  value: Json,
  path: string,
  tableOf: TableOf,
): string | undefined {
  if (!isObject(value)) return noMatch(validator, value, path);
  for (const key in validator.value) {
    const field = validator.value[key] as Field;
    const inner = Object.hasOwn(value, key) ? value[key] : undefined;
    if (inner === undefined) {
      if (field.optional) continue;
      return (
        `Object is missing the required field \`${key}\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.` +
        `\n${pathLine(path)}\nObject: ${describeValue(value)}\nValidator: ${describeValidator(validator)}`
      );
    }
    const wrong = mismatch(field.fieldType, inner, `${path}.${key}`, tableOf);
    if (wrong !== undefined) return wrong;
  }
  for (const key in value)
    if (!Object.hasOwn(validator.value, key))
      return (
        `Object contains extra field \`${key}\` that is not in the validator.` +
        `\n${pathLine(path)}\nObject: ${describeValue(value)}\nValidator: ${describeValidator(validator)}`
      );
  return undefined;
}

function noMatch(validator: Validator, value: Json, path: string): string {
  return `Value does not match validator.${pathLine(path)}\nValue: ${describeValue(value)}\nValidator: ${describeValidator(validator)}`;
}

function pathLine(path: string): string {
  return path === "" ? "" : `\nPath: ${path}`;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && toSpecial(value) === undefined;
}

function specialType(value: Json): string | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? toSpecial(value)?.type : undefined;
}

function isSame(a: Json, b: Json): boolean {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/** As a developer would write it. */
export function describeValidator(validator: Validator): string {
  switch (validator.type) {
    case "literal":
      return `v.literal(${describeValue(validator.value)})`;
    case "id":
      return `v.id("${validator.tableName}")`;
    case "array":
      return `v.array(${describeValidator(validator.value)})`;
    case "record":
      return `v.record(${describeValidator(validator.keys)}, ${describeValidator(validator.values.fieldType)})`;
    case "union":
      return `v.union(${validator.value.map(describeValidator).join(", ")})`;
    case "object": {
      const fields = Object.entries(validator.value).map(([key, { fieldType, optional }]) => {
        const inner = describeValidator(fieldType);
        return `${fieldName(key)}: ${optional ? `v.optional(${inner})` : inner}`;
      });
      return `v.object({${fields.join(", ")}})`;
    }
    case "number":
      return "v.float64()";
    case "bigint":
      return "v.int64()";
    case "any":
    case "boolean":
    case "bytes":
    case "commitTs":
    case "null":
    case "string":
      return `v.${validator.type}()`;
  }
}

/** Fails the way the real backend does. `args` is the array of arguments. */
export function findArgsMismatch(validator: Validator, args: readonly Json[], tableOf: TableOf): string | undefined {
  if (validator.type === "any") return undefined;
  const [only] = args;
  if (args.length !== 1 || only === undefined)
    return `ArgumentValidationError: Expected to receive 1 argument, but received ${args.length} arguments.`;
  const wrong = findMismatch(validator, only, tableOf);
  return wrong === undefined ? undefined : `ArgumentValidationError: ${wrong}`;
}
