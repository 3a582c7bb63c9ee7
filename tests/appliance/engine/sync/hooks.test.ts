/** The React hooks against a running engine. What is rendered is nothing at all, so React needs next to nothing of a page. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ConvexProvider,
  ConvexReactClient,
  insertAtTop,
  useAction,
  useConvexConnectionState,
  useMutation,
  usePaginatedQuery,
  useQueries,
  useQuery,
  type PaginatedQueryReference,
} from "convex/react";
import { makeFunctionReference } from "convex/server";
import { createElement, type FunctionComponent } from "react";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { engineApp } from "../openTestCore.ts";
import { collector, serve, type Served } from "../served.ts";

/** The little that React asks of a page for a component that shows nothing. */
function barePage() {
  const quiet = () => undefined;
  const page = { nodeType: 9, nodeName: "#document", addEventListener: quiet, removeEventListener: quiet, activeElement: null };
  const view = { document: page, addEventListener: quiet, removeEventListener: quiet, HTMLIFrameElement: Object };
  Object.assign(page, { defaultView: view });
  Object.assign(globalThis, { window: view, document: page });
  const root = { nodeType: 1, nodeName: "DIV", tagName: "DIV", namespaceURI: "http://www.w3.org/1999/xhtml", textContent: "" };
  return Object.assign(root, {
    ownerDocument: page,
    addEventListener: quiet,
    removeEventListener: quiet,
  });
}

type Note = { readonly text: string; readonly rank: number };
const all = makeFunctionReference<"query", Record<string, never>, Note[]>("notes:all");
const page = makeFunctionReference<"query">("notes:page") as PaginatedQueryReference;
const add = makeFunctionReference<"mutation", { text: string; rank: number }, string>("notes:add");
const tour = makeFunctionReference<"action", { name: string }, { count: number }>("act:tour");

let served: Served;
let client: ConvexReactClient;
before(async () => {
  const env = { ISSUER: "https://issuer.test" };
  served = await serve((dir, origin) => openCore({ dir, functionsDir: engineApp, env, origin, log: () => undefined }));
  client = new ConvexReactClient(served.url, { logger: false });
});
after(async () => {
  await client.close();
  await served[Symbol.asyncDispose]();
});

/** Renders a component that reports what its hooks give, until `work` is done. */
async function withHooks<T>(use: () => T, work: (seen: ReturnType<typeof collector<T>>) => Promise<void>): Promise<void> {
  const container = barePage();
  const { createRoot } = await import("react-dom/client");
  const seen = collector<T>();
  const Shown: FunctionComponent = () => {
    seen.push(use());
    return null;
  };
  const root = createRoot(container);
  root.render(createElement(ConvexProvider, { client, children: createElement(Shown) }));
  try {
    await work(seen);
  } finally {
    root.unmount();
  }
}

test("useQuery follows the truth, useMutation changes it, with an optimistic update in between; useAction acts", async () => {
  const use = () => ({
    notes: useQuery(all, {})?.map((one) => one.text),
    skipped: useQuery(all, "skip"),
    send: useMutation(add).withOptimisticUpdate((store, { text, rank }) => {
      store.setQuery(all, {}, [...(store.getQuery(all, {}) ?? []), { text: `${text} (sending)`, rank }]);
    }),
    act: useAction(tour),
    isConnected: useConvexConnectionState().isWebSocketConnected,
  });
  await withHooks(use, async (seen) => {
    assert.equal(seen.seen[0]?.notes, undefined);
    const { send, act } = await seen.until(({ notes, isConnected }) => notes?.length === 0 && isConnected);
    const from = seen.seen.length;
    await send({ text: "one", rank: 1 });
    await seen.until(({ notes }) => notes?.join() === "one");
    const shown = seen.seen.slice(from).map(({ notes }) => notes?.join());
    assert.deepEqual([...new Set(shown)], ["one (sending)", "one"]);
    assert.equal((await act({ name: "hooks" })).count, 1);
    assert.ok(seen.seen.every(({ skipped }) => skipped === undefined));
  });
});

test("usePaginatedQuery loads more where it ended, and shows what an optimistic update puts on top", async () => {
  for (const rank of [2, 3, 4]) await client.mutation(add, { text: `n${rank}`, rank });
  const use = () => ({
    ...usePaginatedQuery(page, {}, { initialNumItems: 2 }),
    send: useMutation(add).withOptimisticUpdate((localQueryStore, { text, rank }) =>
      insertAtTop({ paginatedQuery: page, localQueryStore, item: { text: `${text} (sending)`, rank } }),
    ),
  });
  const texts = (shown: ReturnType<typeof use>): string => (shown.results as Note[]).map((one) => one.text).join();
  await withHooks(use, async (seen) => {
    const first = await seen.until((shown) => texts(shown) === "one,n2" && shown.status === "CanLoadMore");
    first.loadMore(2);
    await seen.until(({ status }) => status === "LoadingMore");
    const rest = await seen.until((shown) => texts(shown) === "one,n2,n3,n4");
    await rest.send({ text: "zero", rank: 0 });
    await seen.until((shown) => texts(shown) === "zero,one,n2,n3,n4");
    assert.ok(seen.seen.some((shown) => texts(shown) === "zero (sending),one,n2,n3,n4"));
  });
});

test("useQueries watches many at once, and tells the failure of one without the others", async () => {
  const get = makeFunctionReference<"query">("notes:get");
  const queries = { all: { query: all, args: {} }, wrong: { query: get, args: { id: "none" } } };
  const use = () => useQueries(queries) as { all: Note[] | undefined; wrong: unknown };
  await withHooks(use, async (seen) => {
    const shown = await seen.until((one) => one.all !== undefined && one.wrong !== undefined);
    assert.ok((shown.all?.length ?? 0) > 0);
    assert.match((shown.wrong as Error).message, /ArgumentValidationError/);
  });
});
