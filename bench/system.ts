/** Something that runs an effect once under a key, as the closed loop sees it. */
export interface System {
  /** Runs the effect under a key that was never used, or throws. */
  fresh(key: string): Promise<void>;
  /** Asks again with a used key: throws unless the original receipt comes back. */
  replay?(key: string): Promise<void>;
  /** A system over the same store that remembers nothing of what it has seen. */
  another?(): System;
  /** How often the effect has run. */
  effects(): number;
  close(): Promise<void>;
}
