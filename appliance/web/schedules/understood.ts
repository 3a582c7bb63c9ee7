/** What the appliance makes of a text while it is being written. */
import { useEffect, useState } from "react";
import { toFailure, type Failure } from "../language/sentence.ts";

export type Understood<T> =
  | { readonly state: "none" }
  | { readonly state: "looking" }
  | { readonly state: "told"; readonly text: string; readonly told: T }
  | { readonly state: "failed"; readonly failure: Failure };

/** A writer's pause. */
const pauseMs = 300;

/** Asks once the writer pauses; an answer to words that have changed since is dropped. Empty texts are not asked about. */
export function useUnderstood<T>(text: string, ask: (text: string, signal: AbortSignal) => Promise<T>): Understood<T> {
  const [understood, setUnderstood] = useState<Understood<T>>({ state: "none" });
  useEffect(() => {
    if (text === "") {
      setUnderstood({ state: "none" });
      return undefined;
    }
    const controller = new AbortController();
    const { signal } = controller;
    setUnderstood((before) => (before.state === "told" ? before : { state: "looking" }));
    const timer = setTimeout(() => {
      void ask(text, signal).then(
        (told) => signal.aborted || setUnderstood({ state: "told", text, told }),
        (error: unknown) => signal.aborted || setUnderstood({ state: "failed", failure: toFailure(error) }),
      );
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text, ask]);
  return understood;
}
