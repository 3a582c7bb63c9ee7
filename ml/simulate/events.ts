/** What happens next, and when. Of two at one time the one that was added first comes first. */
export type Agenda<Event> = {
  add(at: number, event: Event): void;
  /** Takes the earliest away. */
  take(): { readonly at: number; readonly event: Event } | undefined;
};

type Entry<Event> = { readonly at: number; readonly turn: number; readonly event: Event };

/** A binary heap. */
export function openAgenda<Event>(): Agenda<Event> {
  const heap: Entry<Event>[] = [];
  let turn = 0;
  const isBefore = (a: Entry<Event>, b: Entry<Event>): boolean => a.at < b.at || (a.at === b.at && a.turn < b.turn);
  const entry = (at: number): Entry<Event> => heap[at] as Entry<Event>;
  const swap = (a: number, b: number): void => {
    const held = entry(a);
    heap[a] = entry(b);
    heap[b] = held;
  };
  const sink = (): void => {
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && isBefore(entry(left), entry(least))) least = left;
      if (right < heap.length && isBefore(entry(right), entry(least))) least = right;
      if (least === at) return;
      swap(at, least);
      at = least;
    }
  };
  return {
    add(at, event) {
      heap.push({ at, turn: turn++, event });
      for (let child = heap.length - 1; child > 0;) {
        const parent = (child - 1) >> 1;
        if (!isBefore(entry(child), entry(parent))) return;
        swap(child, parent);
        child = parent;
      }
    },
    take() {
      const first = heap[0];
      const last = heap.pop();
      if (!first || !last) return undefined;
      if (heap.length > 0) {
        heap[0] = last;
        sink();
      }
      return { at: first.at, event: first.event };
    },
  };
}
