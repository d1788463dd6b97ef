import type { Agenda } from "./agenda.ts";

/** One life of a simulated process: from its start to its end. What reaches it after its end is lost. */
export interface Life {
  readonly name: string;
  isAlive(): boolean;
  /** SIGSTOP: nothing runs in it until then. The world goes on. */
  stop(ms: number): void;
  end(): void;
  /** Runs something in it: now, after it was resumed, or never. */
  deliver(call: () => void): void;
  /** A timer of this process. */
  after(ms: number, call: () => void): () => void;
}

export function createLife(name: string, agenda: Agenda): Life {
  let alive = true;
  let stoppedUntil = 0;
  let waiting: (() => void)[] = [];

  const resume = () => {
    if (!alive || agenda.now() < stoppedUntil) return;
    const calls = waiting;
    waiting = [];
    // One after the other, as the loop of a process takes them.
    for (const call of calls) agenda.after(0, () => deliver(call));
  };

  const deliver = (call: () => void): void => {
    if (!alive) return;
    if (agenda.now() < stoppedUntil) waiting.push(call);
    else call();
  };

  return {
    name,
    isAlive: () => alive,
    stop(ms) {
      stoppedUntil = Math.max(stoppedUntil, agenda.now() + ms);
      agenda.after(ms, resume);
    },
    end() {
      alive = false;
      waiting = [];
    },
    deliver,
    after(ms, call) {
      let cancelled = false;
      const cancel = agenda.after(ms, () => {
        deliver(() => {
          if (!cancelled) call();
        });
      });
      return () => {
        cancelled = true;
        cancel();
      };
    },
  };
}
