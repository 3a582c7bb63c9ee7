import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexError, v } from "convex/values";
import {
  actionGeneric,
  defineSchema,
  defineTable,
  httpActionGeneric,
  httpRouter,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
} from "convex/server";
import { convexTest } from "../../../../appliance/engine/testing/convexTest.ts";

const notes = {
  add: makeFunctionReference<"mutation", { text: string }, string>("notes:add"),
  list: makeFunctionReference<"query", Record<string, never>, string[]>("notes:list"),
  later: makeFunctionReference<"mutation", { text: string; delayMs: number }>("notes:later"),
  hidden: makeFunctionReference<"mutation", { text: string }>("notes:hidden"),
  tryTwice: makeFunctionReference<"mutation", Record<string, never>>("notes:tryTwice"),
  failing: makeFunctionReference<"mutation", Record<string, never>>("notes:failing"),
  addTwo: makeFunctionReference<"action", Record<string, never>, string | null>("notes:addTwo"),
  nothing: makeFunctionReference<"query", Record<string, never>>("notes:nothing"),
};

const schema = defineSchema({
  notes: defineTable({ text: v.string(), rank: v.optional(v.number()) }).index("by_text", ["text"]),
});

const add = mutationGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) => ctx.db.insert("notes", { text }),
});
const list = queryGeneric(async (ctx) =>
  (await ctx.db.query("notes").collect()).map((one) => (one as { text?: unknown })["text"]),
);
const later = mutationGeneric({
  args: { text: v.string(), delayMs: v.number() },
  handler: async (ctx, { text, delayMs }) => ctx.scheduler.runAfter(delayMs, notes.hidden, { text }),
});
const hidden = internalMutationGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) => void (await ctx.db.insert("notes", { text })),
});
const tryTwice = mutationGeneric(async (ctx) => {
  await ctx.runMutation(notes.add, { text: "kept" });
  await ctx.runMutation(notes.failing, {}).catch(() => {});
});
const failing = mutationGeneric(async (ctx) => {
  await ctx.db.insert("notes", { text: "undone" });
  throw new ConvexError({ code: 7n });
});
const addTwo = actionGeneric(async (ctx) => {
  await ctx.runMutation(notes.add, { text: "one" });
  await ctx.runMutation(notes.add, { text: "two" });
  return (await ctx.auth.getUserIdentity())?.name ?? null;
});
const http = httpRouter();
http.route({ path: "/hello", method: "GET", handler: httpActionGeneric(async () => new Response("hi")) });

const modules = {
  "./convex/_generated/api.js": async () => ({}),
  "./convex/notes.ts": async () => ({ add, list, later, hidden, tryTwice, failing, addTwo }),
  "./convex/http.ts": async () => ({ default: http }),
  "./convex/broken.ts": async () => {
    throw new Error("this module is never named, so it is never loaded");
  },
};
const open = () => convexTest(schema, modules);

test("functions of the app and functions of the test see one database", async () => {
  const t = open();
  await t.mutation(notes.add, { text: "a" });
  await t.run(async (ctx) => void (await ctx.db.insert("notes", { text: "b" })));
  assert.deepEqual(await t.query(notes.list), ["a", "b"]);
  assert.deepEqual(await t.query(async (ctx) => (await ctx.db.query("notes").collect()).length), 2);
  assert.deepEqual(await open().query(notes.list), [], "each test has an engine of its own");
});

test("what a function throws reaches the test as it was thrown, and leaves nothing behind", async () => {
  const t = open();
  await assert.rejects(
    t.mutation(notes.failing),
    (error: ConvexError<{ code: bigint }>) => error instanceof ConvexError && error.data.code === 7n,
  );
  await assert.rejects(
    t.run(async (ctx) => {
      await ctx.db.insert("notes", { text: "undone" });
      throw new RangeError("mine");
    }),
    (error) => error instanceof RangeError && error.message === "mine",
  );
  assert.deepEqual(await t.query(notes.list), []);
});

test("a nested mutation that fails takes only its own writes along", async () => {
  const t = open();
  await t.mutation(notes.tryTwice);
  assert.deepEqual(await t.query(notes.list), ["kept"]);
});

test("arguments, documents and schemas are checked as on a deployment", async () => {
  const t = open();
  await assert.rejects(t.mutation(notes.add, { text: 1 } as never), /ArgumentValidationError/);
  await assert.rejects(
    t.run(async (ctx) => void (await ctx.db.insert("notes", { text: 1 } as never))),
    /does not match the schema/,
  );
  await assert.rejects(t.query(notes.nothing), /Could not find function for 'notes:nothing'/);
  assert.throws(() => convexTest(schema), /needs the modules/);
});

test("a nested call keeps to limits of its own, and what it undid is not counted", async () => {
  const t = open();
  const limited = (documentsWritten: number) =>
    t.mutation(async (ctx) => {
      await ctx.runMutation(notes.failing, {}).catch(() => {});
      await ctx.runMutation(notes.tryTwice, {}, { transactionLimits: { documentsWritten } });
      return (await ctx.meta.getTransactionMetrics()).documentsWritten.used;
    });
  await assert.rejects(limited(0), /Too many writes in a single function execution \(limit: 0\)/);
  assert.equal(await limited(2), 1);
  const tight = convexTest({ schema, modules, transactionLimits: { documentsRead: 0 } });
  await tight.mutation(notes.add, { text: "a" });
  await assert.rejects(tight.query(notes.list), /Too many documents read/);
});

test("a schema that a deploy would refuse is refused at once", () => {
  const refused = (tables: Parameters<typeof defineSchema>[0], why: RegExp) =>
    assert.throws(() => convexTest(defineSchema(tables), modules), why);
  refused({ "a-b": defineTable({}) }, /a table's name is letters/);
  refused({ a: defineTable({ _mine: v.string() }) }, /field "_mine" begins with an underscore/);
  refused({ a: defineTable({ x: v.string() }).index("a-b", ["x"]) }, /"a-b" cannot name an index/);
});

test("an action runs beside transactions, as the one who is signed in", async () => {
  const t = open();
  assert.equal(await t.withIdentity({ name: "Ada" }).action(notes.addTwo), "Ada");
  assert.deepEqual(await t.query(notes.list), ["one", "two"]);
});

test("scheduled functions run when the test's clock says so", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
  const t = open();
  await t.mutation(notes.later, { text: "late", delayMs: 5000 });
  context.mock.timers.tick(4000);
  await t.finishInProgressScheduledFunctions();
  assert.deepEqual(await t.query(notes.list), []);
  await t.finishAllScheduledFunctions(() => context.mock.timers.tick(10_000));
  assert.deepEqual(await t.query(notes.list), ["late"]);
  const jobs = await t.query(async (ctx) => ctx.db.system.query("_scheduled_functions").collect());
  assert.deepEqual(
    jobs.map((one) => one.state.kind),
    ["success"],
  );
});

test("HTTP actions answer, and files are kept", async () => {
  const t = open();
  assert.equal(await (await t.fetch("/hello")).text(), "hi");
  assert.equal((await t.fetch("/nowhere")).status, 404);
  const id = await t.action(async (ctx) => ctx.storage.store(new Blob(["bytes"], { type: "text/plain" })));
  const other = await t.run(async (ctx) => ctx.storage.store(new Blob(["more"])));
  assert.notEqual(other, id);
  assert.equal(await t.action(async (ctx) => (await ctx.storage.get(id as never))?.text() ?? null), "bytes");
});

test("components are refused by name", () => {
  assert.throws(() => open().registerComponent("counter", schema, {}), /Components are not supported/);
});
