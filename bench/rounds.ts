/** A database server that the bench has started. */
export interface Server {
  readonly url: string;
  readonly pid: number;
}

/** In another order each round, so that nobody always runs in the wake of the same one. */
export function turned<T>(items: readonly T[], round: number): readonly T[] {
  const start = (round - 1) % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
