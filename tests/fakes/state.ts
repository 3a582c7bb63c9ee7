/** The control plane's own functions over a store in memory (convex-test), behind the port that the runtime sees. */
import { AsyncLocalStorage } from "node:async_hooks";
import { readdirSync } from "node:fs";
import { convexTest } from "convex-test";
import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";
import schema from "../../convex/schema.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Lab } from "../contracts/lab.ts";

const convexDir = new URL("../../convex/", import.meta.url);
const modules = Object.fromEntries(
  readdirSync(convexDir, { recursive: true, encoding: "utf8" })
    .filter((path) => /^(?!(?:model|turn)\/)[^.]+\.(?:ts|js)$/u.test(path))
    .map((path) => [`./convex/${path}`, () => import(new URL(path, convexDir).href) as Promise<unknown>]),
);

export type FakeState = Lab & {
  /** Straight to the tables. */
  readonly run: ReturnType<typeof convexTest<(typeof schema)["tables"]>>["run"];
};

type Watcher = { readonly look: () => Promise<void> };

// Scheduled calls run on timers of this process. They must not keep it alive (a reap is due in 17 s), and whoever watches is told.
const scheduling = new AsyncLocalStorage<() => void>();
const realSetTimeout = globalThis.setTimeout;
globalThis.setTimeout = Object.assign((callback: () => void, ms?: number, ...rest: []): NodeJS.Timeout => {
  const ran = scheduling.getStore();
  if (!ran) return realSetTimeout(callback, ms, ...rest);
  const timer = realSetTimeout(() => {
    callback();
    ran();
  }, ms);
  return timer.unref();
}, realSetTimeout);

export function openFakeState(): FakeState {
  const test = convexTest(schema, modules);
  const watchers = new Set<Watcher>();
  const changed = (): void => {
    for (const watcher of watchers) void watcher.look();
  };
  const afterScheduled = (): void => void test.finishInProgressScheduledFunctions().then(changed);

  type Caller = { query(f: unknown, args: unknown): Promise<never>; mutation(f: unknown, args: unknown): Promise<never> };
  const client = (callerOfPublic: unknown): State => {
    // Its types know public functions only.
    const caller = callerOfPublic as Caller;
    const query = <F extends FunctionReference<"query", "public" | "internal">>(
      f: F,
      args: FunctionArgs<F>,
    ): Promise<FunctionReturnType<F>> => caller.query(f, args);
    return {
      query,
      async mutation(f, args) {
        const result = await scheduling.run(afterScheduled, () => caller.mutation(f, args));
        changed();
        return result;
      },
      watch(f, args, onResult, onError) {
        let seen: string | undefined;
        let isLooking = false;
        let isStale = false;
        const watcher: Watcher = {
          async look() {
            isStale = true;
            if (isLooking) return;
            isLooking = true;
            while (isStale && watchers.has(watcher)) {
              isStale = false;
              try {
                const result = await query(f, args);
                const text = JSON.stringify(result);
                if (text !== seen && watchers.has(watcher)) onResult(result);
                seen = text;
              } catch (error) {
                onError(error as Error);
              }
            }
            isLooking = false;
          },
        };
        watchers.add(watcher);
        queueMicrotask(() => void watcher.look());
        return () => void watchers.delete(watcher);
      },
    };
  };

  return {
    ...client(test),
    owner: client(test.withIdentity({ subject: "owner" })),
    as: (subject) => client(subject === undefined ? test : test.withIdentity({ subject })),
    upload: (content) => test.run((ctx) => ctx.storage.store(new Blob([content]))),
    run: test.run,
    close: async () => watchers.clear(),
  };
}
