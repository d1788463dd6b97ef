import { createGuard, GuardError, isGuardError, type WrapRules } from "../index.ts";

/** The rules of a guarded tool: what they are, their check, and what becomes of a fault in them. */

/**
 * How a tool is guarded: as `guard.wrap` takes it, and what a framework adds. `C`: what the framework
 * hands a tool beside its input.
 */
export interface ToolRules<In, C = unknown>
  extends Omit<WrapRules<In, unknown>, "run" | "maxAttempts" | "key"> {
  /**
   * What makes two calls the same effect: the business fact, never a tool-call id. Where several
   * users share a store, say whose it is, by the context: who shares a key shares the result.
   *
   * @example key: ({ orderId }) => `refund:${orderId}`
   */
  readonly key: (input: In, context: C) => string;
  /** Names the effect in the record. Default: the tool's name. The same in two frameworks: the same cases. */
  readonly action?: string;
  /** Milliseconds to wait for a twin that is under way, a probe or a lease. Default: the guard's. */
  readonly waitMs?: number;
  /** Who asks. Default: the guard's actor. Can't approve what it asks for. */
  readonly actor?: string | ((context: C) => string);
  /**
   * Told of a call that was refused because of the rules, or because the store broke its contract:
   * the model is told only that nothing can be done now. Default: a warning of the process.
   */
  readonly onFault?: (error: GuardError) => void;
}

type AnyRules = ToolRules<never, never>;

/** Who is told of faults. */
export type Faults = Pick<AnyRules, "onFault">;

/** Checks a tool's rules where the tool is made, not at its first call. */
export function checkedRules<R>(action: string, rules: R): R {
  const given = rules as AnyRules | null | undefined;
  if (typeof given?.key !== "function") {
    throw new GuardError("invalid_request", `The tool "${action}" needs \`key\`.`, {
      next: "Say what makes two calls the same effect: key: (input) => input.orderId, never the call's id.",
    });
  }
  for (const name of ["probe", "onError", "onFault"] as const) {
    if (given[name] === undefined || typeof given[name] === "function") continue;
    throw new GuardError("invalid_request", `\`${name}\` of "${action}" must be a function.`);
  }
  checkTerms(action, given);
  return rules;
}

/** Whether the guard refuses the rules themselves, whatever a call asks for. */
export function termsFault(
  action: string,
  rules: object,
  actor: string | undefined,
): GuardError | undefined {
  try {
    checkTerms(action, { ...(rules as AnyRules), ...(actor === undefined ? {} : { actor }) });
  } catch (error) {
    return isGuardError(error) ? error : undefined;
  }
  return undefined;
}

/** Asks a guard of its own, which keeps nothing: the user's would take the action for wrapped. */
function checkTerms(action: string, rules: AnyRules): void {
  const { key, actor, waitMs, policy, ignore, ...terms } = rules;
  if ((terms.effect as string | undefined) === "transactional") {
    throw new GuardError("invalid_request", `"${action}" can't be transactional as a tool.`, {
      next: "A framework's tool is handed no transaction: call a function of guard.wrap in it.",
    });
  }
  const said = {
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(actor === undefined || typeof actor === "function" ? {} : { actor }),
  };
  const judge = createGuard({ ...said, store: "memory:" });
  judge.wrap(action, { ...terms, key: key as () => string, run: () => undefined });
  const intent = { action, payload: {}, ...(ignore === undefined ? {} : { ignore }) };
  judge.case("rules", { ...intent, ...(policy === undefined ? {} : { policy }) });
}

const notNow =
  "Not executed. Do not call again now; say that it is not done, and continue with other work.";

/**
 * A refusal that the model can do nothing about: no argument would be right. The developer is told,
 * by `onFault`; the cause may hold the input, and goes nowhere else.
 */
export function faultOf(
  rules: Faults,
  facts: string,
  { cause, caseId }: { readonly cause?: unknown; readonly caseId?: string } = {},
): GuardError {
  const next = "Mend the tool's rules; the model is only told that it was not done.";
  const told = { cause, caseId, next, forModel: notNow };
  return reported(rules, new GuardError("invalid_request", facts, told));
}

/** A store of the user's own threw what no store may throw: what happened before is not known here. */
export function brokenStore(rules: Faults, cause: unknown): GuardError {
  const facts = "The store threw what no store may throw.";
  const next = "Mend the store: the laws of safeagent/testing say what it must do.";
  const error = new GuardError("broken_invariant", facts, { effect: "unknown", cause, next });
  return reported(rules, error);
}

/** Tells the developer of an error that its caller is not told of in full. */
function reported(rules: Faults, error: GuardError): GuardError {
  try {
    const answer: unknown = (rules.onFault ?? warn)(error);
    if (answer instanceof Promise) answer.catch(() => {});
  } catch {
    // Who listens can't make of a refusal something else.
  }
  return error;
}

function warn(error: GuardError): void {
  const { process } = globalThis as { process?: { emitWarning?(warning: Error): void } };
  process?.emitWarning?.(error);
}

/** What a function of the rules says of a call: a text, or nothing. */
export function textOf(
  ask: (() => unknown) | undefined,
  wrong: (cause?: unknown) => GuardError,
): string | undefined {
  let text: unknown;
  try {
    text = ask?.();
  } catch (cause) {
    throw wrong(cause);
  }
  if (text === undefined || (typeof text === "string" && text !== "")) return text;
  if (text instanceof Promise) text.catch(() => {});
  throw wrong();
}
