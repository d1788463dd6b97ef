import { type GuardErrorCode, isGuardError } from "../core/errors.ts";

/** Throws, saying what should have been: any test runner shows it. */
export function ensure(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`The store breaks this law: ${what}.`);
}

/** Equal as JSON, the order of members included: a receipt must come back byte for byte. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is === wanted) return;
  throw new Error(`The store breaks this law: ${what}.\n  is:     ${is}\n  wanted: ${wanted}`);
}

/** The call must throw a `GuardError` of this code: synchronously or not. */
export async function refused(
  call: () => unknown,
  code: GuardErrorCode,
  what: string,
): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (isGuardError(error, code)) return;
    throw new Error(`The store breaks this law: ${what}; it threw ${String(error)}`, {
      cause: error,
    });
  }
  throw new Error(`The store breaks this law: ${what}; it threw nothing.`);
}
