/**
 * What a vendor's published schema says of a body, in as few words as an emulator needs to refuse what the vendor refuses, and to be
 * caught when it answers what the vendor would not.
 */
export type Shape =
  | "string"
  | "number"
  | "integer"
  | "boolean"
  | "null"
  | "any"
  | { readonly words: readonly string[] }
  | { readonly list: Shape; readonly min?: number }
  | { readonly map: Shape }
  | { readonly either: readonly Shape[] }
  /** `must` are there, `may` can be, and nothing else unless `isOpen`. */
  | {
      readonly must: Readonly<Record<string, Shape>>;
      readonly may?: Readonly<Record<string, Shape>>;
      readonly isOpen?: boolean;
    };

export const orNull = (shape: Shape): Shape => ({ either: [shape, "null"] });

/** Where it is not so, as "$.gpu.count: not an integer". Empty: it is. */
export function mismatches(shape: Shape, value: unknown, at = "$"): string[] {
  if (typeof shape === "string") return isPlain(shape, value) ? [] : [`${at}: is not ${shape}`];
  if ("words" in shape) return shape.words.includes(value as string) ? [] : [`${at}: is none of ${shape.words.join(", ")}`];
  if ("either" in shape)
    return shape.either.some((one) => mismatches(one, value, at).length === 0)
      ? []
      : mismatches(shape.either[0] ?? "any", value, at);
  if ("list" in shape) {
    if (!Array.isArray(value)) return [`${at}: is not a list`];
    if (value.length < (shape.min ?? 0)) return [`${at}: has too few`];
    return value.flatMap((one: unknown, index) => mismatches(shape.list, one, `${at}[${index}]`));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${at}: is not an object`];
  const fields = Object.entries(value as Record<string, unknown>).filter(([, one]) => one !== undefined);
  if ("map" in shape) return fields.flatMap(([name, one]) => mismatches(shape.map, one, `${at}.${name}`));
  const known: Readonly<Record<string, Shape>> = { ...shape.must, ...shape.may };
  return [
    ...Object.keys(shape.must)
      .filter((name) => !fields.some(([one]) => one === name))
      .map((name) => `${at}: missing property '${name}'`),
    ...fields.flatMap(([name, one]) => {
      const expected = known[name];
      if (expected !== undefined) return mismatches(expected, one, `${at}.${name}`);
      return shape.isOpen ? [] : [`${at}: additional properties '${name}' not allowed`];
    }),
  ];
}

/** The value, or an error: for answers that an emulator is about to give. */
export function shaped<T>(shape: Shape, value: T, what: string): T {
  const found = mismatches(shape, value);
  if (found.length > 0) throw new Error(`the emulator answers ${what} as its vendor would not: ${found.join("; ")}`);
  return value;
}

function isPlain(shape: string, value: unknown): boolean {
  if (shape === "any") return true;
  if (shape === "null") return value === null;
  if (shape === "integer") return Number.isInteger(value);
  return typeof value === shape;
}
