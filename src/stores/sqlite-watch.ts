/** Tells listeners that something may have changed. */
export interface Watch {
  subscribe(listener: () => void): () => void;
  /** A commit of this store has landed. */
  landed(): void;
  close(): void;
}

const pollMs = 100;

/**
 * Commits of this store are told at once, those of others by asking SQLite now and then whether
 * anybody wrote: a few microseconds, and only while somebody listens.
 */
export function watchChanges(dataVersion: () => number): Watch {
  const listeners = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  let seen: number | undefined;
  let told = true;

  function poll(): void {
    const version = versionNow();
    if (version !== undefined && version !== seen) tellSoon();
    seen = version ?? seen;
  }

  /** A store that can't be asked now is no news: whoever reads next gets the error. */
  function versionNow(): number | undefined {
    try {
      return dataVersion();
    } catch {
      return undefined;
    }
  }

  function tellSoon(): void {
    if (!told || listeners.size === 0) return;
    told = false;
    setImmediate(() => {
      told = true;
      for (const listener of [...listeners]) listener();
    });
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    subscribe(listener) {
      // Its own function, so that one listener given twice is called twice and taken off once.
      const call = (): void => listener();
      if (timer === undefined) {
        seen = versionNow();
        timer = setInterval(poll, pollMs);
        timer.unref();
      }
      listeners.add(call);
      return () => {
        listeners.delete(call);
        if (listeners.size === 0) stop();
      };
    },
    landed: tellSoon,
    close() {
      listeners.clear();
      stop();
    },
  };
}
