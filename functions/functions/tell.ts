import { logCharsMax } from "../../convex/model/userFunction.ts";

/** Four times a second looks live; each costs one commit. */
const everyMs = 250;

export type Teller = { readonly say: (text: string) => void; readonly close: () => Promise<void> };

/**
 * Collects what a function says and hands it on now and then, in order and one at a time. A flood costs a bounded number of commits:
 * what is beyond the bound is handed on once, for its length.
 */
export function openTeller(hand: (text: string) => Promise<unknown>): Teller {
  let waiting = "";
  let isWaiting = false;
  let handed = 0;
  let timer: NodeJS.Timeout | undefined;
  let handing: Promise<void> = Promise.resolve();
  let isClosed = false;

  const flush = (): void => {
    timer = undefined;
    if (!isWaiting) return;
    const text = waiting;
    waiting = "";
    isWaiting = false;
    handed += text.length;
    // What it said is for people; that it could not be kept must not fail its run.
    handing = handing
      .then(() => hand(text))
      .then(
        () => undefined,
        () => undefined,
      );
  };
  return {
    say(text) {
      if (isClosed) return;
      // Beyond four times what is kept nobody even counts.
      if (waiting.length + handed < 4 * logCharsMax) waiting += text;
      isWaiting = true;
      timer ??= setTimeout(flush, everyMs);
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      flush();
      await handing;
    },
  };
}
