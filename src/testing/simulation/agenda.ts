/** What is to happen when, on a clock that jumps from one thing to the next. */
export interface Agenda {
  /** Milliseconds since the world began. */
  now(): number;
  /** Calls back `ms` from now; things of one instant in the order they were asked for. */
  after(ms: number, call: () => void): () => void;
  /** Lets things happen until it is so, or until nothing is left to happen. */
  runUntil(isSo: () => boolean): Promise<void>;
}

interface Item {
  readonly at: number;
  readonly order: number;
  call: (() => void) | undefined;
}

export function createAgenda(): Agenda {
  const heap: Item[] = [];
  let now = 0;
  let order = 0;

  return {
    now: () => now,
    after(ms, call) {
      const item: Item = { at: now + Math.max(0, ms), order: order++, call };
      push(heap, item);
      return () => {
        item.call = undefined;
      };
    },
    async runUntil(isSo) {
      await settled();
      while (!isSo()) {
        const item = pop(heap);
        if (item === undefined) return;
        if (item.call === undefined) continue;
        now = item.at;
        item.call();
        await settled();
      }
    },
  };
}

/**
 * Everything that follows from a thing without waiting has happened: a tick comes after all promises
 * that are due. A turn of the event loop would do the same, and cost as much as the rest.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(one: Item, other: Item): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

function push(heap: Item[], item: Item): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up] as Item;
    if (!isBefore(item, parent)) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = item;
}

function pop(heap: Item[]): Item | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let down = 2 * at + 1;
    if (down >= heap.length) break;
    const right = heap[down + 1];
    if (right !== undefined && isBefore(right, heap[down] as Item)) down += 1;
    const child = heap[down] as Item;
    if (!isBefore(child, last)) break;
    heap[at] = child;
    at = down;
  }
  heap[at] = last;
  return first;
}
