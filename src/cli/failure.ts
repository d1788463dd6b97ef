import { errorTable, isGuardError } from "../index.ts";

/** An error as the shell and a program reading `--json` are told of it: words and a number, never a stack. */
export interface Failure {
  readonly exit: number;
  readonly code: string;
  /** What is known of the effect, where the guard has said so. */
  readonly effect?: "none" | "unknown";
  readonly message: string;
  readonly next?: string;
}

/** Exit codes where no guard error says it better. */
export const exits = { failed: 1, usage: 2 } as const;

export function failureOf(error: unknown): Failure {
  if (isGuardError(error)) {
    const { code, effect, message, next } = error;
    return { exit: errorTable[code].exit, code, effect, message, next };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exit: exits.failed, code: "failed", message };
}
