/** Work that is queued, and done in batches, a few at a time. */
export interface Lanes<T> {
  add(item: T): void;
  waiting(): number;
}

export interface LanesOptions<T> {
  readonly atOnce: number;
  /** Takes the next batch out of what waits; at least one item. */
  readonly take: (waiting: T[]) => readonly T[];
  /** Answers each item of a batch. Never rejects. */
  readonly run: (batch: readonly T[]) => Promise<void>;
}

/** What one turn of the event loop asks for shares a batch, and so does what comes while all lanes are taken. */
export function lanes<T>({ atOnce, take, run }: LanesOptions<T>): Lanes<T> {
  const waiting: T[] = [];
  let underWay = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || underWay >= atOnce || waiting.length === 0) return;
    scheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    scheduled = false;
    if (waiting.length === 0) return;
    underWay += 1;
    run(take(waiting)).finally(() => {
      underWay -= 1;
      schedule();
    });
    schedule();
  }

  return {
    add(item) {
      waiting.push(item);
      schedule();
    },
    waiting: () => waiting.length,
  };
}
