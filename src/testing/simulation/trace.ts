import { digest } from "../chance.ts";

/** All that happens in a world, in order: as one hash, and as lines where they are wanted. */
export interface Trace {
  note(line: string): void;
  /** 16 hex digits. Two runs of a seed that differ anywhere differ here. */
  hash(): string;
  readonly lines: readonly string[];
}

export function createTrace(now: () => number, keepsLines: boolean): Trace {
  const lines: string[] = [];
  let left = 1;
  let right = 2;
  return {
    note(line) {
      const stamped = `${now()} ${line}`;
      left = digest(stamped, left);
      right = digest(stamped, right ^ 0x5bd1e995);
      if (keepsLines) lines.push(stamped);
    },
    hash: () => [left, right].map((half) => half.toString(16).padStart(8, "0")).join(""),
    lines,
  };
}
