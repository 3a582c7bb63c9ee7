/** Registries of MCP servers: which are asked, and how far each is copied. What was copied lies with the appliance. */
import { v } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { QueryCtx } from "./_generated/server.js";
import { NikaError } from "./model/error.ts";
import {
  builtIn,
  checkRegistry,
  registriesMax,
  vRegistrySetting,
  vRegistryType,
  vRegistryView,
  type RegistrySetting,
} from "./model/registry.ts";
import { enqueue } from "./turn/enqueue.ts";
import { ownerMutation, ownerQuery, systemMutation, systemQuery, type Turn } from "./turn/guard.ts";

type Row = Doc<"registries">;

const rowsOf = (ctx: QueryCtx | Turn): Promise<Row[]> => ctx.db.query("registries").take(registriesMax + builtIn.length);
const findRow = (ctx: QueryCtx | Turn, name: string): Promise<Row | null> =>
  ctx.db
    .query("registries")
    .withIndex("by_name", (q) => q.eq("name", name))
    .unique();

const toSetting = ({ name, type, url, isOn, secret }: RegistrySetting): RegistrySetting => ({
  name,
  type,
  url,
  isOn,
  ...(secret !== undefined && { secret }),
});

/** The built-in ones as the owner left them, then his own. */
async function all(ctx: QueryCtx | Turn): Promise<(RegistrySetting & Partial<Row>)[]> {
  const rows = await rowsOf(ctx);
  const own = rows.filter(({ name }) => !builtIn.some((one) => one.name === name));
  return [...builtIn.map((one) => rows.find(({ name }) => name === one.name) ?? one), ...own];
}

export const list = ownerQuery({
  args: {},
  returns: v.array(vRegistryView),
  handler: async (ctx) =>
    Promise.all(
      (await all(ctx)).map(async (one) => {
        const open = await ctx.db
          .query("uniques")
          .withIndex("by_key", (q) => q.eq("kind", "servers.mirror").eq("key", one.name))
          .first();
        return {
          ...toSetting(one),
          isBuiltIn: builtIn.some(({ name }) => name === one.name),
          isCopying: open !== null,
          ...(one.copiedAt !== undefined && { copiedAt: one.copiedAt }),
          ...(one.servers !== undefined && { servers: one.servers }),
          ...(one.problem !== undefined && { problem: one.problem }),
        };
      }),
    ),
});

/** Adds one, or changes what is given. One that is on is copied at once, where it can be copied. */
export const set = ownerMutation({
  args: {
    name: v.string(),
    type: v.optional(vRegistryType),
    url: v.optional(v.string()),
    isOn: v.optional(v.boolean()),
    secret: v.optional(v.string()),
  },
  returns: v.null(),
  handler: async (turn, { name, ...changes }) => {
    const row = await findRow(turn, name);
    const before = row ?? builtIn.find((one) => one.name === name);
    const { url } = changes;
    if (!before && url === undefined) throw new NikaError("missing", `There is no registry "${name}"; add it with its address.`);
    const after: RegistrySetting = {
      type: "mcp",
      isOn: true,
      url: "",
      ...(before && toSetting(before)),
      ...changes,
      name,
    };
    checkRegistry(after);
    if (row) await turn.db.replace(row._id, after.url === row.url ? { ...withoutSystem(row), ...after } : after);
    else {
      if ((await rowsOf(turn)).length >= registriesMax)
        throw new NikaError("full", `There can be at most ${registriesMax} registries.`);
      await turn.db.insert("registries", after);
    }
    if (after.isOn) await copy(turn, after);
    return null;
  },
});

/** What went wrong with it before may be over now. */
const withoutSystem = ({ _id, _creationTime, problem: _problem, ...row }: Row): Omit<Row, "_id" | "_creationTime" | "problem"> =>
  row;

/** A built-in one is only turned off. */
export const remove = ownerMutation({
  args: { name: v.string() },
  returns: v.null(),
  handler: async (turn, { name }) => {
    const row = await findRow(turn, name);
    const own = builtIn.find((one) => one.name === name);
    if (!row && !own) throw new NikaError("missing", `There is no registry "${name}"; see \`nika mcp registries\`.`);
    if (row && own) await turn.db.replace(row._id, { ...own, isOn: false });
    else if (row) await turn.db.delete(row._id);
    else if (own) await turn.db.insert("registries", { ...own, isOn: false });
    return null;
  },
});

export const known = systemQuery({
  args: {},
  returns: v.array(vRegistrySetting),
  handler: async (ctx) => (await all(ctx)).map(toSetting),
});

/** The owner searches for the first time: that turns the official registry on, unless he decided about it before. True when it did. */
export const beginUse = systemMutation({
  args: {},
  returns: v.boolean(),
  handler: async (turn) => {
    const [official] = builtIn;
    if (!official || (await findRow(turn, official.name))) return false;
    await turn.db.insert("registries", { ...official, isOn: true });
    await copy(turn, official);
    return true;
  },
});

/** Once an hour, as registries ask for. */
export const copyDue = systemMutation({
  args: {},
  returns: v.null(),
  handler: async (turn) => {
    for (const one of await rowsOf(turn)) if (one.isOn) await copy(turn, one);
    return null;
  },
});

async function copy(turn: Turn, { name, type }: Pick<RegistrySetting, "name" | "type">): Promise<void> {
  if (type === "mcp") await enqueue(turn, { kind: "servers.mirror", args: { registry: name }, label: name, uniqueKey: name });
}

export const copied = systemMutation({
  args: { name: v.string(), url: v.string(), at: v.number(), servers: v.number() },
  returns: v.null(),
  handler: async (turn, { name, url, at, servers }) => {
    const row = await findRow(turn, name);
    if (row?.url === url) await turn.db.patch(row._id, { copiedAt: at, servers, problem: undefined });
    return null;
  },
});

export const failed = systemMutation({
  args: { name: v.string(), url: v.string(), problem: v.string() },
  returns: v.null(),
  handler: async (turn, { name, url, problem }) => {
    const row = await findRow(turn, name);
    if (row?.url === url) await turn.db.patch(row._id, { problem: problem.slice(0, 500) });
    return null;
  },
});
