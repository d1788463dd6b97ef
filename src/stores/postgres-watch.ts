import type { Connections } from "./postgres-client.ts";

/** Tells listeners that something may have changed. */
export interface Watch {
  subscribe(listener: () => void): () => void;
  /** A commit of this store has landed. */
  landed(): void;
  close(): void;
}

export interface WatchOptions {
  readonly connections: Connections;
  /** The name under which all stores of one schema call and hear each other. */
  readonly channel: string;
}

/** Calls at most so often: each takes a lock that all commits with a call share. */
const callEveryMs = 20;
const firstRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Commits of this store are told at once; others are heard by LISTEN, on a connection that is held
 * only while somebody listens here. It is a hint: behind a pooler that hands out connections by the
 * transaction nothing is ever heard, and whoever waits looks again by itself.
 */
export function watchChanges({ connections, channel }: WatchOptions): Watch {
  const listeners = new Set<() => void>();
  let calling = false;
  let told = true;
  let closed = false;
  let hearing: "no" | "starting" | (() => void) = "no";
  let retryMs = firstRetryMs;
  let retry: NodeJS.Timeout | undefined;

  function tellSoon(): void {
    if (!told || listeners.size === 0) return;
    told = false;
    setImmediate(() => {
      told = true;
      for (const listener of [...listeners]) listener();
    });
  }

  /** After the commit and beside it: a call within it would make all commits wait in line. */
  function callOthers(): void {
    if (calling || closed) return;
    calling = true;
    setTimeout(() => {
      calling = false;
      if (closed) return;
      // A call that can't be made is made up for: the others look again by themselves.
      connections.use((connection) => connection.query(`NOTIFY ${channel}`)).catch(() => undefined);
    }, callEveryMs).unref();
  }

  function hear(): void {
    if (hearing !== "no" || listeners.size === 0 || closed || connections.listen === undefined) {
      return;
    }
    hearing = "starting";
    connections.listen(channel, tellSoon, again).then(
      (stop) => {
        hearing = stop;
        retryMs = firstRetryMs;
        if (listeners.size === 0 || closed) hush();
        // What was called while nobody heard.
        else tellSoon();
      },
      () => again(),
    );
  }

  function again(): void {
    hearing = "no";
    if (closed || listeners.size === 0) return;
    clearTimeout(retry);
    retry = setTimeout(hear, retryMs * (0.5 + Math.random()));
    retry.unref();
    retryMs = Math.min(longestRetryMs, retryMs * 2);
  }

  function hush(): void {
    clearTimeout(retry);
    if (typeof hearing !== "function") return;
    const stop = hearing;
    hearing = "no";
    stop();
  }

  return {
    subscribe(listener) {
      const call = (): void => listener();
      listeners.add(call);
      hear();
      return () => {
        listeners.delete(call);
        if (listeners.size === 0) hush();
      };
    },
    landed() {
      tellSoon();
      callOthers();
    },
    close() {
      closed = true;
      listeners.clear();
      hush();
    },
  };
}
