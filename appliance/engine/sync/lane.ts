/** Work of one socket that must happen one after another, in the order of arrival. */

export type Lane = {
  /** False when the lane is full and the work was not taken. */
  push(work: () => Promise<void>): boolean;
  /** Forgets what has not begun. */
  clear(): void;
};

/** `onError` hears of work that rejects; the lane then goes on with the next. */
export function openLane(lengthMax: number, onError: (error: unknown) => void): Lane {
  let waiting: (() => Promise<void>)[] = [];
  let isRunning = false;
  const drain = async (): Promise<void> => {
    isRunning = true;
    for (let work = waiting.shift(); work; work = waiting.shift()) await work().catch(onError);
    isRunning = false;
  };
  return {
    push(work) {
      if (waiting.length >= lengthMax) return false;
      waiting.push(work);
      if (!isRunning) void drain();
      return true;
    },
    clear() {
      waiting = [];
    },
  };
}
