/** Follows the folders that the owner chose: told by the control plane which, for as long as it says so. */
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { WatchMode } from "../../convex/model/watch.ts";
import type { State } from "../../functions/ports/state.ts";
import { openFollower, type Follower } from "./follower.ts";

export type WatchOptions = {
  readonly state: State;
  /** Where this process reaches the control plane's storage. */
  readonly convexUrl: string;
  /** Nika's own folder is never taken in. */
  readonly dataDir: string;
  readonly log: (line: string) => void;
};

export type Watch = { close(): Promise<void> };

type Followed = { readonly id: Id<"watches">; readonly path: string; readonly mode: WatchMode };

export function openWatch({ state, convexUrl, dataDir, log }: WatchOptions): Watch {
  const followers = new Map<string, Follower>();
  const closing = new Set<Promise<void>>();
  const keyOf = ({ id, path, mode }: Followed): string => JSON.stringify([id, path, mode]);

  const end = (key: string): void => {
    const ended = followers.get(key)?.close() ?? Promise.resolve();
    followers.delete(key);
    closing.add(ended);
    void ended.finally(() => closing.delete(ended));
  };
  const follow = (watches: readonly Followed[]): void => {
    const wanted = new Map(watches.map((watch) => [keyOf(watch), watch]));
    for (const key of followers.keys()) if (!wanted.has(key)) end(key);
    for (const [key, watch] of wanted) {
      if (followers.has(key)) continue;
      followers.set(key, openFollower(watch, { state, convexUrl, dataDir, log }));
    }
  };
  const unwatch = state.watch(internal.watches.active, {}, follow, (error) =>
    log(`watched folders cannot be told: ${String(error)}`),
  );
  return {
    async close() {
      unwatch();
      for (const key of followers.keys()) end(key);
      await Promise.all(closing);
    },
  };
}
