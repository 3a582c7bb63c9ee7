/** What the engine tells of our containers: one connection for all of them, in the order in which things happened. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";

export type ContainerEvent =
  | { readonly type: "oom" }
  /** Somebody had the engine end it. */
  | { readonly type: "killed" }
  | { readonly type: "died"; readonly code: number | undefined }
  | { readonly type: "gone" }
  /** The engine does not answer any more, so nobody will say. */
  | { readonly type: "silent" };

export type Events = {
  /** Tells of one container until the returned function is called. */
  watch(id: string, listener: (event: ContainerEvent) => void): () => void;
  close(): void;
};

type Told = {
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Record<string, string> };
  readonly time?: number;
};

/** Tries before all are told that the engine is silent, with so many milliseconds between. */
const tries = 5;
const betweenMs = 400;

/** `label`: what all containers to hear of carry. Connects when the first is watched. */
export function openEvents(docker: Docker, label: string): Events {
  const listeners = new Map<string, (event: ContainerEvent) => void>();
  /** Of the connection that is open now; there is none while nothing is watched. */
  let connection: AbortController | undefined;

  function told(line: string): number | undefined {
    const { Action, Actor, time } = JSON.parse(line) as Told;
    const listener = listeners.get(Actor?.ID ?? "");
    if (Action === "oom") listener?.({ type: "oom" });
    else if (Action === "kill") listener?.({ type: "killed" });
    else if (Action === "destroy") listener?.({ type: "gone" });
    else if (Action === "die") {
      const code = Number(Actor?.Attributes?.["exitCode"]);
      listener?.({ type: "died", code: Number.isInteger(code) ? code : undefined });
    }
    return time;
  }

  async function listen({ signal }: AbortController): Promise<void> {
    let since = Math.floor(Date.now() / 1000) - 1;
    for (let failed = 0; !signal.aborted;) {
      try {
        const filters = JSON.stringify({ type: ["container"], event: ["oom", "kill", "die", "destroy"], label: [label] });
        const stream = await docker.getEvents({ since, filters, abortSignal: signal });
        for await (const line of createInterface({ input: stream })) {
          failed = 0;
          since = told(line) ?? since;
        }
      } catch {
        // Counted below, as an end is.
      }
      if (signal.aborted) return;
      if (++failed < tries) await sleep(betweenMs);
      else for (const listener of listeners.values()) listener({ type: "silent" });
    }
  }

  function hangUp(): void {
    connection?.abort();
    connection = undefined;
  }

  return {
    watch(id, listener) {
      listeners.set(id, listener);
      if (!connection) void listen((connection = new AbortController()));
      return () => {
        listeners.delete(id);
        // An open connection would keep the process up.
        if (listeners.size === 0) hangUp();
      };
    },
    close: hangUp,
  };
}
