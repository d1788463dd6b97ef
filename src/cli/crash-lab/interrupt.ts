/** A run that is ended early: by Ctrl-C, or by a closed terminal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** What the shell is told; undefined while nobody has ended it. */
  readonly exit: number | undefined;
  /** Gives the signals back. */
  release(): void;
}

/** As a shell numbers them: 128 and the signal. */
const exits = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Ends by abort instead of dying, so that no process and no file is left behind. */
export function interruptOn(process: NodeJS.Process): Interrupt {
  const controller = new AbortController();
  let exit: number | undefined;
  const handlers = Object.entries(exits).map(([name, code]) => ({
    name,
    call: () => {
      exit ??= code;
      controller.abort(new Error("stopped"));
    },
  }));
  for (const { name, call } of handlers) process.on(name, call);
  return {
    signal: controller.signal,
    get exit() {
      return exit;
    },
    release() {
      for (const { name, call } of handlers) process.off(name, call);
    },
  };
}
