/** Checks what goes to tools and what they answer against their own schemas, which strangers wrote: bounded, and given up rather than waited for. */
import { createContext, Script } from "node:vm";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";

/** What is wrong, in one sentence; undefined when nothing is, or when the schema cannot be used. */
export type Check = (value: unknown) => string | undefined;

const nodesMax = 4_000;
const depthMax = 64;
const compileMs = 500;
const checkMs = 100;
const saidCharsMax = 600;

const validators = new WeakMap<object, Check>();
const provider = new AjvJsonSchemaValidator();
const anything: Check = () => undefined;

/** Made once for each schema object. A schema that cannot be used, or takes too long, lets everything through from then on. */
export function checkOf(schema: Readonly<Record<string, unknown>>): Check {
  const known = validators.get(schema);
  if (known) return known;
  const check = compile(schema);
  validators.set(schema, check);
  return check;
}

function compile(schema: Readonly<Record<string, unknown>>): Check {
  if (!isUsable(schema)) return anything;
  // By its name a schema would be taken for another server's of the same name.
  const { $id: _name, ...plain } = schema;
  const isSwift = !hasSlow(schema);
  let validate: ReturnType<typeof provider.getValidator>;
  try {
    validate = within(compileMs, () => provider.getValidator(plain));
  } catch {
    return anything;
  }
  return (value) => {
    try {
      const { valid, errorMessage } = isSwift ? validate(value) : within(checkMs, () => validate(value));
      return valid ? undefined : (errorMessage ?? "it does not fit").slice(0, saidCharsMax);
    } catch {
      // A pattern that never ends, or alternatives without number.
      validators.set(schema, anything);
      return undefined;
    }
  };
}

/** Small enough, and whole in itself: nothing is fetched, and no part has a name that others could take. */
function isUsable(schema: unknown): boolean {
  let nodes = 0;
  const walk = (value: unknown, depth: number): boolean => {
    if (typeof value !== "object" || value === null) return true;
    if (++nodes > nodesMax || depth > depthMax) return false;
    for (const [key, one] of Object.entries(value)) {
      if ((key === "$ref" || key === "$dynamicRef") && typeof one === "string" && !one.startsWith("#")) return false;
      if (key === "$id" && depth > 0 && typeof one === "string") return false;
      if (!walk(one, depth + 1)) return false;
    }
    return true;
  };
  return walk(schema, 0);
}

const slow = new Set(["pattern", "patternProperties", "format", "uniqueItems", "$ref", "$dynamicRef"]);

/** Whether a value could be made for which it takes more than a moment. */
const hasSlow = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.entries(value).some(([key, one]) => slow.has(key) || hasSlow(one));

const script = new Script("work()");
const room = createContext({ work: undefined as unknown });

/** The engine ends what runs longer, wherever it is. Fails then. */
function within<T>(ms: number, work: () => T): T {
  room["work"] = work;
  try {
    return script.runInContext(room, { timeout: ms }) as T;
  } finally {
    room["work"] = undefined;
  }
}
