/** What each conversation has seen so far. Stateless clients have none, so all of one holder's count as one until he was silent for an hour. */
import { clean, stain, type Label, type Taint } from "../../../convex/model/taint.ts";

export type Seen = { readonly thread: string; readonly by: string; readonly at: number; readonly taint: Taint };
export type Taints = {
  of(thread: string): Taint;
  add(thread: string, by: string, server: string, labels: readonly Label[]): void;
  /** A conversation that is over needs no memory. */
  forget(thread: string): void;
  /** The latest first. */
  list(): readonly Seen[];
  clear(): void;
};

const silentMs = 3_600_000;
const threadsMax = 2_000;

/** In memory: whoever restarts Nika begins a new conversation as well. */
export function openTaints(now: () => number): Taints {
  const threads = new Map<string, Seen>();
  const live = (thread: string): Seen | undefined => {
    const seen = threads.get(thread);
    if (!seen || now() - seen.at <= silentMs) return seen;
    threads.delete(thread);
    return undefined;
  };
  return {
    of: (thread) => live(thread)?.taint ?? clean,
    add(thread, by, server, labels) {
      if (labels.length === 0 || thread === "") return;
      const taint = stain(live(thread)?.taint ?? clean, server, labels);
      threads.delete(thread);
      threads.set(thread, { thread, by, at: now(), taint });
      const [oldest] = threads.keys();
      if (threads.size > threadsMax && oldest !== undefined) threads.delete(oldest);
    },
    forget: (thread) => void threads.delete(thread),
    list: () => [...threads.keys()].flatMap((thread) => live(thread) ?? []).toReversed(),
    clear: () => threads.clear(),
  };
}
