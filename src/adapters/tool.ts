import {
  type EffectContext,
  type Guard,
  GuardError,
  type GuardErrorCode,
  type HeldOutcome,
  isGuardError,
  limits,
  NotPerformed,
  type OnceReceipt,
  type SettledOutcome,
  type WrapRules,
} from "../index.ts";

/** What every adapter does alike: one call of a tool, made through the guard. */

/** How a tool is guarded: as `guard.wrap` takes it, and what a framework adds. */
export interface ToolRules<In> extends Omit<WrapRules<In, unknown>, "run" | "maxAttempts"> {
  /** Names the effect in the record. Default: the tool's name. The same in two frameworks: the same cases. */
  readonly action?: string;
  /** Milliseconds to wait for a twin that is under way, a probe or a lease. Default: the guard's. */
  readonly waitMs?: number;
  /** Who asks. Default: the guard's actor. Can't approve what it asks for. */
  readonly actor?: string;
}

/**
 * What a tool's caller gets where there is no result to give: a value, since what is thrown reaches
 * a model as a failure to be tried again.
 */
export interface HeldCall {
  /** What held it: an outcome's status, or an error's code; `settled` where its result could not be kept. */
  readonly held: HeldOutcome["status"] | "settled" | GuardErrorCode;
  /** `none`: it did not run by this call; `unknown`: it may have; `once`: it has. */
  readonly effect: "none" | "unknown" | "once";
  readonly caseId: string | undefined;
  /** For the model, so that it does the right thing next. */
  readonly message: string;
}

/** One call, as a framework makes it. */
export interface ToolCall<In, T> {
  readonly action: string;
  readonly input: In;
  /** The framework's name for this call; it comes again when a run is resumed or replayed. */
  readonly callId: string | undefined;
  /** What makes the call id unique: the run's or the thread's name. Default: the case. */
  readonly scope?: () => string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Who approved this very call in the framework's own way, if somebody did. */
  readonly approvedBy?: () => string | undefined;
  readonly run: (input: In, effect: EffectContext) => T | Promise<T>;
  /** Whether an error is how the framework stops a tool before its effect: it is thrown on, and nothing has happened. */
  readonly pauses?: (error: unknown) => boolean;
}

export type ToolAnswer<T> =
  | {
      readonly held?: undefined;
      readonly value: T;
      readonly replayed: boolean;
      readonly receipt: OnceReceipt<T>;
    }
  | { readonly held: HeldCall };

/** Makes one call. Throws nothing but what `pauses` named. */
export async function callThrough<In, T>(
  guard: Guard,
  rules: ToolRules<In>,
  call: ToolCall<In, T>,
): Promise<ToolAnswer<T>> {
  let paused: { readonly error: unknown } | undefined;
  const run = async (input: In, effect: EffectContext): Promise<T> => {
    try {
      return await call.run(input, effect);
    } catch (error) {
      if (call.pauses?.(error) !== true) throw error;
      paused = { error };
      throw new NotPerformed("its framework stopped it before its effect");
    }
  };

  const ask = async () => {
    const { key, action: _, ...terms } = rules;
    const caseId = keyOf(call.action, key, call.input);
    const scope = textOf(call.action, "scope", call.scope) ?? caseId;
    const requestId = await requestIdOf(scope, call.callId, caseId);
    const signal = call.signal === undefined ? {} : { signal: call.signal };
    const { action, input: payload } = call;
    const once = () =>
      guard.execute<In, unknown>({ ...terms, ...signal, action, caseId, requestId, payload, run });
    const first = await once();
    if (first.status !== "pending") return first;
    const actor = textOf(call.action, "approvedBy", call.approvedBy);
    if (actor === undefined) return first;
    // The case holds this call's action and payload by now: a call with others was refused above.
    await guard.approve(caseId, { actor, note: `call ${call.callId ?? "unnamed"}` });
    return once();
  };

  try {
    const outcome = await ask();
    if (paused !== undefined) throw paused.error;
    if (outcome.status === "settled") {
      const { receipt, replayed } = outcome as SettledOutcome<T>;
      return { value: receipt.value as T, replayed, receipt };
    }
    const { status, effect, forModel } = outcome;
    return { held: { held: status, effect, caseId: outcome.case.caseId, message: forModel } };
  } catch (error) {
    if (paused !== undefined) throw error;
    if (!isGuardError(error)) return { held: unforeseen };
    const { code, effect, caseId, forModel } = error;
    return { held: { held: code, effect, caseId, message: forModel } };
  }
}

/** A store of the user's own broke its contract: what happened before is not known here. */
const unforeseen: HeldCall = {
  held: "broken_invariant",
  effect: "unknown",
  caseId: undefined,
  message:
    "Unknown whether this ran. Do not call it again. A person is checking; continue with other work.",
};

/** What a tool's caller gets: its value, or what says why there is none. */
export function shownOf<T>(answer: ToolAnswer<T>): T | HeldCall {
  if (answer.held !== undefined) return answer.held;
  const { value, receipt } = answer;
  if (receipt.valueForm !== "omitted") return value;
  const message = "It was done, once. Its result could not be kept. Do not call it again.";
  return { held: "settled", effect: "once", caseId: receipt.caseId, message };
}

/**
 * Whether a tool's output is what a guarded call gives where there is no result. It holds for what
 * was sent as JSON, too: a part of a UI message, a stored conversation.
 *
 * @example if (isHeld(part.output)) show(part.output.message);
 */
export function isHeld(output: unknown): output is HeldCall {
  if (typeof output !== "object" || output === null) return false;
  const { held, effect, message } = output as Partial<HeldCall>;
  const isKnown = effect === "none" || effect === "unknown" || effect === "once";
  return typeof held === "string" && isKnown && typeof message === "string";
}

/** Checks a tool's rules where the tool is made, not at its first call. */
export function checkedRules<In>(action: string, rules: ToolRules<In>): ToolRules<In> {
  if (typeof rules?.key !== "function") {
    throw new GuardError("invalid_request", `The tool "${action}" needs \`key\`.`, {
      next: "Say what makes two calls the same effect: key: (input) => input.orderId, never the call's id.",
    });
  }
  return rules;
}

/** Functions that go through a guard already: going through it again, a call would wait for itself. */
const guarded = new WeakSet<object>();

/** Marks a function that goes through the guard. */
export function markGuarded(call: object): void {
  guarded.add(call);
}

/** @throws GuardError `invalid_request` where a function goes through a guard already */
export function refuseGuarded(action: string, call: object): void {
  if (!guarded.has(call)) return;
  throw new GuardError("invalid_request", `The tool "${action}" is guarded already.`, {
    next: "Guard the plain tool, once or anew for each request.",
  });
}

/** What a rule of the user's says of a call: a text, or nothing. */
function textOf(action: string, what: string, ask: (() => unknown) | undefined) {
  const wrong = (cause?: unknown) =>
    new GuardError("invalid_request", `\`${what}\` of "${action}" gave no text.`, { cause });
  let text: unknown;
  try {
    text = ask?.();
  } catch (cause) {
    throw wrong(cause);
  }
  if (text === undefined || typeof text === "string") return text;
  throw wrong();
}

function keyOf<In>(action: string, key: (input: In) => string, input: In): string {
  try {
    return key(input);
  } catch (cause) {
    throw new GuardError("invalid_request", `The key of "${action}" can't be taken.`, { cause });
  }
}

/**
 * The name of one ask. Frameworks take a call's id for unique within a run only, so it is never used
 * alone: the same id in another run would bind another case, and be refused.
 */
async function requestIdOf(
  scope: string,
  callId: string | undefined,
  caseId: string,
): Promise<string> {
  if (callId === undefined) return caseId;
  const name = `${scope}/${callId}`;
  if (name.length <= limits.idChars) return name;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  return `call:${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

const handed = Symbol.for("safeagent.effect");

/** A framework's own argument, with what the guard hands an effect. */
export function withEffect<O extends object>(argument: O | undefined, effect: EffectContext): O {
  return { ...(argument as O), [handed]: effect };
}

/**
 * What the guard hands a tool's effect, found in the argument that the framework hands it.
 *
 * @throws GuardError `invalid_request` where the tool was not called through the guard
 * @example
 * execute: (input, options) => charge(input, { idempotencyKey: effectOf(options).idempotencyKey })
 */
export function effectOf(argument: unknown): EffectContext {
  const effect = (argument as { readonly [handed]?: EffectContext } | null | undefined)?.[handed];
  if (effect === undefined) {
    throw new GuardError("invalid_request", "This tool was not called through the guard.", {
      next: "Hand effectOf the argument that the guarded tool was called with.",
    });
  }
  return effect;
}
