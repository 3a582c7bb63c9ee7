/** Apps as Convex's own documentation teaches them, typed from it, pushed with the real command line and used through the real clients. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { issuer } from "../auth/issuer.ts";
import { collector } from "../served.ts";
import { openProject } from "./commandLine.ts";

const ref = makeFunctionReference;

/** The tutorial's chat: messages, likes counted beside them, and a look-up of the world outside that is scheduled by a message. */
const chat = {
  "convex/schema.ts": `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  messages: defineTable({ user: v.string(), body: v.string() }),
  likes: defineTable({ liker: v.string(), messageId: v.id("messages") }).index("byMessageId", ["messageId"]),
});
`,
  "convex/chat.ts": `
import { query, mutation, internalAction } from "./_generated/server";
import { api, internal } from "./_generated/api";
import { v } from "convex/values";

export const getMessages = query({
  args: {},
  handler: async (ctx) => {
    const messages = await ctx.db.query("messages").order("desc").take(50);
    return await Promise.all(
      messages.toReversed().map(async (message) => {
        const likes = await ctx.db.query("likes").withIndex("byMessageId", (q) => q.eq("messageId", message._id)).collect();
        return { ...message, likes: likes.length };
      }),
    );
  },
});

export const sendMessage = mutation({
  args: { user: v.string(), body: v.string() },
  handler: async (ctx, args) => {
    await ctx.db.insert("messages", { user: args.user, body: args.body });
    if (args.body.startsWith("/wiki")) {
      const topic = args.body.slice(args.body.indexOf(" ") + 1);
      await ctx.scheduler.runAfter(0, internal.chat.getWikipediaSummary, { topic });
    }
  },
});

export const likeMessage = mutation({
  args: { liker: v.string(), messageId: v.id("messages") },
  handler: async (ctx, args) => {
    await ctx.db.insert("likes", args);
  },
});

export const getWikipediaSummary = internalAction({
  args: { topic: v.string() },
  handler: async (ctx, args) => {
    const response = await fetch(process.env.WIKI + "?titles=" + encodeURIComponent(args.topic));
    const summary = getSummaryFromJSON(await response.json());
    await ctx.scheduler.runAfter(0, api.chat.sendMessage, { user: "Wikipedia", body: summary });
  },
});

function getSummaryFromJSON(data: any) {
  const firstPageId = Object.keys(data.query.pages)[0];
  return data.query.pages[firstPageId].extract as string;
}
`,
};

test("the tutorial's chat: messages, likes and what an action brings appear live", async () => {
  const wikipedia = createServer((request, response) => {
    const topic = new URL(request.url ?? "", "http://x").searchParams.get("titles");
    response.end(JSON.stringify({ query: { pages: { 7: { extract: `${topic} is a topic.` } } } }));
  });
  await new Promise<void>((done) => wikipedia.listen(0, "127.0.0.1", done));
  using _closing = { [Symbol.dispose]: () => void wikipedia.close() };
  await using project = await openProject();
  project.write(chat);
  const address = `http://127.0.0.1:${(wikipedia.address() as AddressInfo).port}/w`;
  assert.equal((await project.convex("env", "set", "WIKI", address)).code, 0);
  const pushed = await project.convex("deploy", "--typecheck", "disable");
  assert.equal(pushed.code, 0, pushed.err);
  assert.match(pushed.err, /\[\+\] likes\.byMessageId {3}messageId/);

  const [mine, theirs] = [project.served.client(), project.served.client()];
  const shown = collector<string>();
  type Message = { _id: string; user: string; body: string; likes: number };
  let first: Message | undefined;
  theirs.onUpdate(ref<"query", Record<string, never>, Message[]>("chat:getMessages"), {}, (messages) => {
    first = messages[0];
    shown.push(messages.map((one) => `${one.user}: ${one.body} (${one.likes})`).join("; "));
  });
  await mine.mutation(ref<"mutation">("chat:sendMessage"), { user: "Ada", body: "Hello!" });
  await shown.until((text) => text === "Ada: Hello! (0)");
  await mine.mutation(ref<"mutation">("chat:likeMessage"), { liker: "Bob", messageId: first?._id });
  await shown.until((text) => text === "Ada: Hello! (1)");
  await mine.mutation(ref<"mutation">("chat:sendMessage"), { user: "Ada", body: "/wiki Zebra" });
  await shown.until((text) => text === "Ada: Hello! (1); Ada: /wiki Zebra (0); Wikipedia: Zebra is a topic. (0)");
  await assert.rejects(mine.action(ref<"action">("chat:getWikipediaSummary"), { topic: "x" }), /Could not find public function/);
  const run = await project.convex("run", "chat:getMessages");
  assert.equal((JSON.parse(run.out) as Message[]).length, 3);
});

/** Signed-in users with lists of their own that are read by pages, pictures that go up over HTTP, a search, and a clean-up by the clock. */
const album = {
  "convex/auth.config.ts": `
export default {
  providers: [{ type: "customJwt", applicationID: "album", issuer: process.env.ISSUER!, jwks: process.env.JWKS!, algorithm: "ES256" }],
};
`,
  "convex/schema.ts": `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  users: defineTable({ name: v.string(), tokenIdentifier: v.string() }).index("by_token", ["tokenIdentifier"]),
  pictures: defineTable({ owner: v.id("users"), title: v.string(), format: v.union(v.literal("image"), v.literal("other")), file: v.id("_storage") })
    .index("by_owner", ["owner"])
    .searchIndex("search_title", { searchField: "title", filterFields: ["owner"] }),
});
`,
  "convex/users.ts": `
import { mutation, QueryCtx } from "./_generated/server";
export const store = mutation({
  args: {},
  handler: async (ctx) => {
    const identity = await ctx.auth.getUserIdentity();
    if (!identity) throw new Error("Called storeUser without authentication present");
    const user = await ctx.db.query("users").withIndex("by_token", (q) => q.eq("tokenIdentifier", identity.tokenIdentifier)).unique();
    if (user !== null) {
      if (user.name !== identity.name) await ctx.db.patch(user._id, { name: identity.name });
      return user._id;
    }
    return await ctx.db.insert("users", { name: identity.name ?? "Anonymous", tokenIdentifier: identity.tokenIdentifier });
  },
});
export async function mustBeUser(ctx: QueryCtx) {
  const identity = await ctx.auth.getUserIdentity();
  const user = identity && (await ctx.db.query("users").withIndex("by_token", (q) => q.eq("tokenIdentifier", identity.tokenIdentifier)).unique());
  if (!user) throw new Error("Unauthenticated call");
  return user;
}
`,
  "convex/pictures.ts": `
import { query, mutation, internalMutation } from "./_generated/server";
import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import { mustBeUser } from "./users";
export const list = query({
  args: { paginationOpts: paginationOptsValidator },
  handler: async (ctx, { paginationOpts }) => {
    const user = await mustBeUser(ctx);
    const result = await ctx.db.query("pictures").withIndex("by_owner", (q) => q.eq("owner", user._id)).order("desc").paginate(paginationOpts);
    return { ...result, page: await Promise.all(result.page.map(async (one) => ({ title: one.title, url: await ctx.storage.getUrl(one.file) }))) };
  },
});
export const search = query({
  args: { words: v.string() },
  handler: async (ctx, { words }) => {
    const user = await mustBeUser(ctx);
    const found = await ctx.db.query("pictures").withSearchIndex("search_title", (q) => q.search("title", words).eq("owner", user._id)).take(10);
    return found.map((one) => one.title);
  },
});
export const generateUploadUrl = mutation({ args: {}, handler: async (ctx) => { await mustBeUser(ctx); return ctx.storage.generateUploadUrl(); } });
export const add = mutation({
  args: { title: v.string(), file: v.id("_storage") },
  handler: async (ctx, { title, file }) => {
    const owner = (await mustBeUser(ctx))._id;
    const metadata = await ctx.db.system.get(file);
    return ctx.db.insert("pictures", { owner, title, file, format: metadata?.contentType?.startsWith("image/") ? "image" : "other" });
  },
});
export const purge = internalMutation({
  args: {},
  handler: async (ctx) => {
    for (const one of await ctx.db.query("pictures").filter((q) => q.eq(q.field("format"), "other")).collect()) {
      await ctx.storage.delete(one.file);
      await ctx.db.delete(one._id);
    }
  },
});
`,
  "convex/http.ts": `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";
import { api } from "./_generated/api";
import { Id } from "./_generated/dataModel";
const http = httpRouter();
http.route({
  path: "/upload",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const title = new URL(request.url).searchParams.get("title");
    if (title === null) return new Response("Title is required", { status: 400 });
    const file = await ctx.storage.store(await request.blob());
    await ctx.runMutation(api.pictures.add, { title, file });
    return new Response(null, { status: 200, headers: new Headers({ "Access-Control-Allow-Origin": "http://localhost:3000", Vary: "origin" }) });
  }),
});
http.route({
  pathPrefix: "/file/",
  method: "GET",
  handler: httpAction(async (ctx, request) => {
    const id = new URL(request.url).pathname.split("/").pop() as Id<"_storage">;
    const blob = await ctx.storage.get(id);
    return blob === null ? new Response("Not found", { status: 404 }) : new Response(blob);
  }),
});
export default http;
`,
  "convex/crons.ts": `
import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";
const crons = cronJobs();
crons.monthly("clean up", { day: 1, hourUTC: 3, minuteUTC: 0 }, internal.pictures.purge);
export default crons;
`,
};

test("an album: users sign in, send pictures up two ways, read them by pages, find them, and lose what the clock sweeps", async () => {
  const { provider, mint } = await issuer("ES256", "https://album.test");
  await using project = await openProject({ env: { ISSUER: "https://album.test", JWKS: String(provider["jwks"]) } });
  project.write(album);
  const pushed = await project.convex("deploy", "--typecheck", "disable");
  assert.equal(pushed.code, 0, pushed.err);
  const { url } = project.served;
  const token = await mint({ sub: "ada", aud: "album", name: "Ada" });
  const http = project.served.httpClient();
  await assert.rejects(http.mutation(ref<"mutation">("users:store"), {}), /Called storeUser without authentication present/);
  http.setAuth(token);
  const user = (await http.mutation(ref<"mutation">("users:store"), {})) as string;
  assert.equal(await http.mutation(ref<"mutation">("users:store"), {}), user);

  const headers = { Authorization: `Bearer ${token}` };
  for (const title of ["A red boat", "A boat at sea"]) {
    const address = `${url}/http/upload?title=${encodeURIComponent(title)}`;
    const sent = await fetch(address, { method: "POST", headers: { ...headers, "Content-Type": "image/png" }, body: title });
    assert.deepEqual([sent.status, sent.headers.get("vary")], [200, "origin"]);
  }
  assert.equal((await fetch(`${url}/http/upload`, { method: "POST", headers, body: "x" })).status, 400);
  const to = (await http.mutation(ref<"mutation">("pictures:generateUploadUrl"), {})) as string;
  const { storageId } = (await (await fetch(to, { method: "POST", body: "notes" })).json()) as { storageId: string };
  await http.mutation(ref<"mutation">("pictures:add"), { title: "Some notes", file: storageId });

  const page = new ConvexReactClient(url, { logger: false });
  await using _closing = { [Symbol.asyncDispose]: () => page.close() };
  page.setAuth(async () => token);
  const seen = collector<{ page: { title: string; url: string }[]; isDone: boolean; continueCursor: string }>();
  const watch = page.watchQuery(ref<"query">("pictures:list"), { paginationOpts: { numItems: 2, cursor: null } });
  watch.onUpdate(() => seen.push(watch.localQueryResult() as never));
  const now = await seen.until(({ page: shown }) => shown[0]?.title === "Some notes");
  assert.deepEqual([now.page.map((one) => one.title), now.isDone], [["Some notes", "A boat at sea"], false]);
  assert.equal(await (await fetch(now.page[1]?.url ?? "")).text(), "A boat at sea");
  const next = (await http.query(ref<"query">("pictures:list"), {
    paginationOpts: { numItems: 2, cursor: now.continueCursor },
  })) as typeof now;
  assert.deepEqual([next.page.map((one) => one.title), next.isDone], [["A red boat"], true]);
  assert.deepEqual(await http.query(ref<"query">("pictures:search"), { words: "boat re" }), ["A red boat", "A boat at sea"]);
  assert.equal(await (await fetch(`${url}/http/file/${storageId}`)).text(), "notes");
  assert.equal((await project.convex("run", "pictures:purge")).code, 0);
  await seen.until(({ page: shown }) => shown.length === 1 && shown[0]?.title === "A boat at sea");
  assert.equal((await fetch(`${url}/http/file/${storageId}`)).status, 404);
});
