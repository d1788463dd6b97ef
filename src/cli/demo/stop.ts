/** The demo ends early: by Ctrl-C, by a closed terminal or pipe, or since it hangs. */
export interface Stop {
  readonly signal: AbortSignal;
  /** What the shell is told; undefined while nobody has stopped it. */
  readonly exit: number | undefined;
  /** The output can't be written any more: the reader left, or the disk is full. */
  readonly isUnread: boolean;
  /** The work's result, or the reason of a stop, whichever is first. */
  unlessStopped<T>(work: Promise<T>): Promise<T>;
  /** Gives the signals back. */
  release(): void;
}

/** As a shell numbers them: 128 and the signal. */
const exits = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const exitOfBrokenPipe = 141;

/** Many times what it takes on a slow machine: a hang is the failure. */
const longestMs = 50_000;

/** Stops by signal instead of dying by it, so that no child process and no file is left behind. */
export function stopOn(process: NodeJS.Process): Stop {
  const controller = new AbortController();
  let exit: number | undefined;
  let isUnread = false;
  const end = (code: number) => {
    exit ??= code;
    controller.abort(new Error("stopped"));
  };
  const handlers = Object.entries(exits).map(([name, code]) => ({ name, call: () => end(code) }));
  for (const { name, call } of handlers) process.on(name, call);
  const onUnread = (error: NodeJS.ErrnoException) => {
    isUnread = true;
    end(error.code === "EPIPE" ? exitOfBrokenPipe : 1);
  };
  process.stdout.once("error", onUnread);
  const timer = setTimeout(
    () => controller.abort(new Error(`the demo hung: no end after ${longestMs / 1_000} s`)),
    longestMs,
  );

  return {
    signal: controller.signal,
    get exit() {
      return exit;
    },
    get isUnread() {
      return isUnread;
    },
    unlessStopped(work) {
      const stopped = Promise.withResolvers<never>();
      const give = () => stopped.reject(controller.signal.reason);
      if (controller.signal.aborted) give();
      else controller.signal.addEventListener("abort", give, { once: true });
      // Work that was stopped fails on its own, later, with nobody left to hear it.
      work.catch(() => undefined);
      return Promise.race([work, stopped.promise]);
    },
    release() {
      clearTimeout(timer);
      for (const { name, call } of handlers) process.off(name, call);
      process.stdout.off("error", onUnread);
    },
  };
}
