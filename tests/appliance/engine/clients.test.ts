/** Every public method of the installed clients, called against a running engine. A method that is new in the package fails the table. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { fetchAction, fetchMutation, fetchQuery, preloadQuery, preloadedQueryResult } from "convex/nextjs";
import { ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { openCore } from "../../../appliance/engine/openCore.ts";
import { issuer, type Issuer } from "./auth/issuer.ts";
import { engineApp } from "./openTestCore.ts";
import { adminKey, collector, serve, type Served } from "./served.ts";

type Note = { readonly text: string };
const all = makeFunctionReference<"query", Record<string, never>, Note[]>("notes:all");
const page = makeFunctionReference<"query">("notes:page");
const add = makeFunctionReference<"mutation", { text: string; rank: number }, string>("notes:add");
const tour = makeFunctionReference<"action", { name: string }, { count: number; subject: string | null }>("act:tour");
const whoami = makeFunctionReference<"action", { name: string }, { subject: string | null }>("act:tour");

let served: Served;
let signer: Issuer;
before(async () => {
  signer = await issuer("ES256", "https://issuer.test");
  served = await serve(async (dir, origin) => {
    const env = { ISSUER: "https://issuer.test" };
    const core = await openCore({ dir, functionsDir: engineApp, env, origin, log: () => undefined });
    return { ...core, deployment: { ...core.deployment, authProviders: [signer.provider] } };
  });
});
after(() => served[Symbol.asyncDispose]());

const paging = { numItems: 2, cursor: null };

/** Inside: what the package keeps for itself, though its classes show it. */
const inside: Readonly<Record<string, readonly string[]>> = {
  ConvexClient: [
    "callNewListenersWithCurrentValues",
    "queryResultReady",
    "createDisabledUnsubscribe",
    "_transition",
    "paginatedClient",
  ],
  ConvexReactClient: ["sync", "paginatedQueryClient", "handleTransition", "transition", "logger"],
  ConvexHttpClient: [
    "getTimestamp",
    "getTimestampInner",
    "queryInner",
    "mutationInner",
    "processMutationQueue",
    "enqueueMutation",
  ],
};

const overSocket: Readonly<Record<string, (client: ConvexClient) => Promise<void>>> = {
  closed: async (client) => assert.equal(client.closed, false),
  client: async (client) => assert.ok(client.client),
  disabled: async (client) => assert.equal(client.disabled, false),
  query: async (client) => assert.ok(Array.isArray(await client.query(all, {}))),
  mutation: async (client) => assert.match(await client.mutation(add, { text: "socket", rank: 1 }), /^j/),
  action: async (client) => assert.ok((await client.action(tour, { name: "socket" })).count > 0),
  onUpdate: async (client) => {
    const seen = collector<number>();
    const stop = client.onUpdate(all, {}, (notes) => seen.push(notes.length));
    const count = await seen.until(() => true);
    await client.mutation(add, { text: "more", rank: 2 });
    await seen.until((one) => one === count + 1);
    assert.equal(stop.getCurrentValue()?.length, count + 1);
    stop();
  },
  onPaginatedUpdate_experimental: async (client) => {
    type Paged = (query: unknown, args: object, options: object, told: (result: { results: Note[] }) => void) => () => void;
    const { onPaginatedUpdate_experimental: watch } = client as unknown as { onPaginatedUpdate_experimental: Paged };
    const seen = collector<number>();
    const stop = watch.call(client, page, {}, { initialNumItems: 2 }, ({ results }) => seen.push(results.length));
    await seen.until((count) => count > 0);
    stop();
  },
  setAuth: async (client) => {
    const seen = collector<boolean>();
    client.setAuth(
      async () => signer.mint(),
      (isAuthenticated) => seen.push(isAuthenticated),
    );
    await seen.until((isAuthenticated) => isAuthenticated);
    assert.equal((await client.action(whoami, { name: "auth" })).subject, "owner");
  },
  getAuth: async (client) => assert.ok(client.getAuth()?.token),
  setAdminAuth: async (client) => {
    (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(adminKey);
    assert.ok(Array.isArray(await client.query(makeFunctionReference<"query">("_system/cli/modules:apiSpec"), {})));
  },
  connectionState: async (client) => assert.equal(client.connectionState().isWebSocketConnected, true),
  subscribeToConnectionState: async (client) => {
    const seen = collector<number>();
    const stop = client.subscribeToConnectionState(({ inflightMutations }) => seen.push(inflightMutations));
    await client.mutation(add, { text: "counted", rank: 3 });
    await seen.until((count) => count === 1);
    stop();
  },
  close: async (client) => {
    await client.close();
    assert.equal(client.closed, true);
  },
};

const overHttp: Readonly<Record<string, (client: ConvexHttpClient) => Promise<void>>> = {
  url: async (client) => assert.equal(client.url, served.url),
  backendUrl: async (client) => assert.equal(client.backendUrl(), `${served.url}/api`),
  query: async (client) => assert.ok((await client.query(all, {})).length > 0),
  consistentQuery: async (client) => {
    const [one, two] = await Promise.all([client.consistentQuery(all, {}), client.consistentQuery(all, {})]);
    assert.deepEqual(one, two);
  },
  mutation: async (client) => {
    const ids = await Promise.all([1, 2, 3].map((rank) => client.mutation(add, { text: "http", rank })));
    assert.equal(new Set(ids).size, 3);
    assert.match(await client.mutation(add, { text: "at once", rank: 1 }, { skipQueue: true }), /^j/);
  },
  action: async (client) => assert.ok((await client.action(tour, { name: "http" })).count > 0),
  setAuth: async (client) => {
    client.setAuth(await signer.mint());
    assert.equal((await client.action(whoami, { name: "http auth" })).subject, "owner");
  },
  clearAuth: async (client) => {
    client.clearAuth();
    assert.equal((await client.action(whoami, { name: "http nobody" })).subject, null);
  },
  setAdminAuth: async (client) => {
    (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(adminKey);
    assert.ok(Array.isArray(await client.query(makeFunctionReference<"query">("_system/cli/modules:apiSpec"), {})));
  },
  function: async (client) => {
    const call = (client as unknown as { function(path: unknown, component: undefined, args: object): Promise<Note[]> }).function;
    assert.ok((await call.call(client, all, undefined, {})).length > 0);
  },
  setDebug: async (client) => (client as unknown as { setDebug(on: boolean): void }).setDebug(false),
  setFetchOptions: async (client) => {
    (client as unknown as { setFetchOptions(options: object): void }).setFetchOptions({ cache: "no-store" });
    assert.ok((await client.query(all, {})).length > 0);
  },
};

const inReact: Readonly<Record<string, (client: ConvexReactClient) => Promise<void>>> = {
  url: async (client) => assert.equal(client.url, served.url),
  query: async (client) => assert.ok((await client.query(all, {})).length > 0),
  mutation: async (client) => assert.match(await client.mutation(add, { text: "react", rank: 1 }), /^j/),
  action: async (client) => assert.ok((await client.action(tour, { name: "react" })).count > 0),
  watchQuery: async (client) => {
    const watch = client.watchQuery(all, {});
    await new Promise<void>((done) => watch.onUpdate(done));
    assert.ok((watch.localQueryResult()?.length ?? 0) > 0);
  },
  prewarmQuery: async (client) => client.prewarmQuery({ query: page, args: { paginationOpts: paging } }),
  watchPaginatedQuery: async (client) => {
    type Watch = { onUpdate(then: () => void): () => void; localQueryResult(): { results: Note[] } | undefined };
    const watching = client as unknown as { watchPaginatedQuery(query: unknown, args: object, options: object): Watch };
    const watch = watching.watchPaginatedQuery(page, {}, { initialNumItems: 2, id: 1 });
    await new Promise<void>((done) => watch.onUpdate(() => watch.localQueryResult()?.results.length && done()));
  },
  setAuth: async (client) => {
    const seen = collector<boolean>();
    client.setAuth(
      async () => signer.mint(),
      (isAuthenticated) => seen.push(isAuthenticated),
    );
    await seen.until((isAuthenticated) => isAuthenticated);
    assert.equal((await client.action(whoami, { name: "react auth" })).subject, "owner");
  },
  clearAuth: async (client) => {
    client.clearAuth();
    assert.equal((await client.action(whoami, { name: "react nobody" })).subject, null);
  },
  setAdminAuth: async (client) => {
    (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(adminKey);
    assert.ok(Array.isArray(await client.query(makeFunctionReference<"query">("_system/cli/modules:apiSpec"), {})));
  },
  connectionState: async (client) => assert.equal(client.connectionState().hasEverConnected, true),
  subscribeToConnectionState: async (client) => {
    const seen = collector<number>();
    const stop = client.subscribeToConnectionState(({ inflightMutations }) => seen.push(inflightMutations));
    await client.mutation(add, { text: "counted", rank: 3 });
    await seen.until((count) => count === 1);
    stop();
  },
  close: async (client) => client.close(),
};

const methodsOf = (type: { readonly prototype: object }): string[] =>
  Object.getOwnPropertyNames(type.prototype).filter((name) => name !== "constructor");

async function exercise<T>(
  type: { readonly name: string; readonly prototype: object },
  client: T,
  table: Readonly<Record<string, (client: T) => Promise<void>>>,
) {
  assert.deepEqual([...Object.keys(table), ...(inside[type.name] ?? [])].toSorted(), methodsOf(type).toSorted());
  for (const work of Object.values(table)) await work(client);
}

test("ConvexClient: every public method", () => exercise(ConvexClient, served.client(), overSocket));
test("ConvexHttpClient: every public method", () => exercise(ConvexHttpClient, served.httpClient(), overHttp));
test("ConvexReactClient: every public method", () =>
  exercise(ConvexReactClient, new ConvexReactClient(served.url, { logger: false }), inReact));

test("functions are called from a server that renders pages", async () => {
  const { url } = served;
  assert.match(await fetchMutation(add, { text: "rendered", rank: 9 }, { url }), /^j/);
  assert.ok((await fetchQuery(all, {}, { url })).some((one) => one.text === "rendered"));
  assert.equal((await fetchAction(whoami, { name: "rendered" }, { url, token: await signer.mint() })).subject, "owner");
  const preloaded = await preloadQuery(all, {}, { url });
  assert.ok(preloadedQueryResult(preloaded).some((one) => one.text === "rendered"));
});
