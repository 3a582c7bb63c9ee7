/** The same random programs, played on the engine and on convex-test: whatever can be seen must be the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { convexTest as onMock } from "convex-test";
import { defineSchema, defineTable, type GenericDataModel, type GenericMutationCtx, type GenericQueryCtx } from "convex/server";
import { v, type Value } from "convex/values";
import { convexTest as onEngine } from "../../../../appliance/engine/testing/convexTest.ts";
import { random, type Random } from "../../vectors/random.ts";
import { asText, pick, randomValue } from "./randomValue.ts";

const schema = defineSchema({
  things: defineTable(v.any())
    .index("by_key", ["key"])
    .index("by_a", ["a"])
    .index("by_a_b", ["a", "b"])
    .index("by_inner", ["o.x"]),
});
const modules = { "./_generated/api.js": async () => ({}) };

type Reader = GenericQueryCtx<Model>["db"];
type Writer = GenericMutationCtx<Model>["db"];
type Model = {
  things: {
    document: Record<string, Value> & { _id: never; _creationTime: number };
    fieldPaths: string;
    indexes: Record<string, string[]>;
    searchIndexes: GenericDataModel[string]["searchIndexes"];
    vectorIndexes: GenericDataModel[string]["vectorIndexes"];
  };
};
/** Works on either database and returns what it saw, without what may differ. */
type Step =
  | { readonly kind: "write"; readonly say: string; readonly work: (db: Writer) => Promise<unknown> }
  | { readonly kind: "read"; readonly say: string; readonly work: (db: Reader) => Promise<unknown> }
  | { readonly kind: "pages"; readonly say: string; readonly work: (db: Reader, cursor: string | null) => Promise<Page> };
type Page = { readonly page: Value[]; readonly isDone: boolean; readonly continueCursor: string };
type Fields = Record<string, Value>;
type Bound = { field: string; type: "gt" | "gte" | "lt" | "lte"; value: Value };

const programs = 100;
const stepsPerProgram = 40;

test("random programs give the same on the engine as on convex-test", async () => {
  let agreed = 0;
  for (let seed = 1; seed <= programs; seed++) agreed += await play(seed);
  // Two that fail alike agree on little.
  assert.ok(agreed > programs * stepsPerProgram * 0.9, `only ${agreed} steps gave a value`);
});

/** Returns in how many steps both gave a value, the same one. */
async function play(seed: number): Promise<number> {
  const from = random(seed);
  const engine = onEngine({ schema, modules });
  const mock = onMock({ schema, modules }) as unknown as typeof engine;
  const done: string[] = [];
  let keys = 0;
  let agreed = 0;
  for (let step = 0; step < stepsPerProgram; step++) {
    const next = randomStep(from, keys);
    if (next.say.startsWith("insert")) keys++;
    done.push(next.say);
    const [ours, theirs] = [await seen(engine, next), await seen(mock, next)];
    if (ours.startsWith("failed") && theirs.startsWith("failed")) continue;
    assert.equal(ours, theirs, `program ${seed}:\n${done.slice(-12).join("\n")}`);
    agreed++;
  }
  return agreed;
}

async function seen(database: ReturnType<typeof onEngine<typeof schema>>, step: Step): Promise<string> {
  try {
    const value =
      step.kind === "write"
        ? await database.run(async (ctx) => (await step.work(ctx.db as unknown as Writer)) as Value)
        : step.kind === "read"
          ? await database.query(async (ctx) => (await step.work(ctx.db as unknown as Reader)) as Value)
          : await everyPage((cursor) => database.query((ctx) => step.work(ctx.db as unknown as Reader, cursor)));
    return asText(shown(value) as Value);
  } catch (error) {
    return `failed: ${(error as Error).message}`;
  }
}

/** Which page a row is on is not compared: convex-test looks one row ahead to know the last page. */
async function everyPage(pageAfter: (cursor: string | null) => Promise<Page>): Promise<Value> {
  const rows: Value[] = [];
  for (let cursor: string | null = null; ;) {
    const { page, isDone, continueCursor }: Page = await pageAfter(cursor);
    rows.push(...page);
    if (isDone) return rows;
    cursor = continueCursor;
  }
}

/** Ids and times are each engine's own. */
function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null || value instanceof ArrayBuffer) return value;
  const { _id, _creationTime, ...rest } = value as Record<string, unknown>;
  return Object.fromEntries(Object.entries(rest).map(([key, one]) => [key, shown(one)]));
}

function randomStep(from: Random, keys: number): Step {
  const key = from.below(Math.max(1, keys));
  const find = (db: Reader) =>
    db
      .query("things")
      .withIndex("by_key", (q) => q.eq("key", key))
      .unique();
  switch (from.below(10)) {
    case 0:
    case 1:
    case 2: {
      const fields = { ...randomFields(from), key: keys };
      return {
        kind: "write",
        say: `insert ${asText(fields)}`,
        work: async (db) => void (await db.insert("things", fields)),
      };
    }
    case 3: {
      const fields = randomFields(from);
      const dropped = pick(from, ["a", "b", "o"]);
      const change = { ...fields, ...(from.below(2) === 0 ? { [dropped]: undefined } : {}) };
      return {
        kind: "write",
        say: `patch ${key} ${asText(fields)}, without ${dropped}`,
        work: async (db) => {
          const found = await find(db);
          if (found) await db.patch(found._id, change as never);
        },
      };
    }
    case 4: {
      const fields = { ...randomFields(from), key };
      return {
        kind: "write",
        say: `replace ${key} ${asText(fields)}`,
        work: async (db) => {
          const found = await find(db);
          if (found) await db.replace(found._id, fields as never);
        },
      };
    }
    case 5:
      return {
        kind: "write",
        say: `delete ${key}`,
        work: async (db) => {
          const found = await find(db);
          if (found) await db.delete(found._id);
        },
      };
    case 6:
      return randomFilter(from);
    case 7:
      return randomPages(from);
    default:
      return randomRange(from);
  }
}

function randomFields(from: Random): Fields {
  const fields: Fields = {};
  for (const name of ["a", "b"]) if (from.below(4) > 0) fields[name] = randomValue(from);
  if (from.below(2) === 0) fields["o"] = { x: randomValue(from, 1) };
  return fields;
}

function randomRange(from: Random): Step {
  const [index, ...fields] = pick(from, [
    ["by_a", "a"],
    ["by_a_b", "a", "b"],
    ["by_inner", "o.x"],
  ] as const);
  const equal = fields.slice(0, from.below(fields.length + 1)).map((field) => ({ field, value: randomValue(from) }));
  const next = fields[equal.length];
  const bounds: Bound[] = [];
  if (next !== undefined && from.below(2) === 0)
    bounds.push({ field: next, type: pick(from, ["gt", "gte"]), value: randomValue(from) });
  if (next !== undefined && from.below(2) === 0)
    bounds.push({ field: next, type: pick(from, ["lt", "lte"]), value: randomValue(from) });
  const order = pick(from, ["asc", "desc"] as const);
  const most = from.below(6) + 1;
  const isCut = from.below(2) === 0;
  const text = [
    ...equal.map(({ field, value }) => `${field} = ${asText(value)}`),
    ...bounds.map((one) => `${one.field} ${one.type} ${asText(one.value)}`),
  ];
  return {
    kind: "read",
    say: `range of ${index} ${text.join(", ")} ${order}${isCut ? ` take ${most}` : ""}`,
    work: async (db) => {
      const query = db
        .query("things")
        .withIndex(index as never, (q) => {
          let range = q as unknown as Record<string, (field: string, value: Value) => typeof range>;
          for (const { field, value } of equal) range = range["eq"]!(field, value);
          for (const { field, type, value } of bounds) range = range[type]!(field, value);
          return range as never;
        })
        .order(order);
      return isCut ? query.take(most) : query.collect();
    },
  };
}

function randomFilter(from: Random): Step {
  const field = pick(from, ["a", "b", "o.x", "missing"]);
  const equality = pick(from, ["eq", "neq"] as const);
  const one = randomValue(from);
  // In filters convex-test compares larger and smaller as JavaScript does, so only between numbers is it a judge of that.
  const comparison = pick(from, ["lt", "lte", "gt", "gte"] as const);
  const key = from.below(10);
  const joined = pick(from, ["and", "or"] as const);
  const isNegated = from.below(3) === 0;
  return {
    kind: "read",
    say: `filter ${isNegated ? "not " : ""}${field} ${equality} ${asText(one)} ${joined} key ${comparison} ${key}`,
    work: async (db) =>
      db
        .query("things")
        .filter((q) => {
          const both = q[joined](q[equality](q.field(field), one), q[comparison](q.field("key"), key));
          return isNegated ? q.not(both) : both;
        })
        .collect(),
  };
}

function randomPages(from: Random): Step {
  const index = pick(from, ["by_a", "by_a_b", "by_inner", "by_creation_time"]);
  const order = pick(from, ["asc", "desc"] as const);
  const numItems = from.below(4) + 1;
  return {
    kind: "pages",
    say: `pages of ${index} ${order}, ${numItems} each`,
    work: async (db, cursor) =>
      db
        .query("things")
        .withIndex(index as never)
        .order(order)
        .paginate({ cursor, numItems }),
  };
}
