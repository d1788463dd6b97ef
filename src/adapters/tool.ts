import {
  type EffectContext,
  type Guard,
  GuardError,
  type GuardErrorCode,
  type HeldOutcome,
  isGuardError,
  NotPerformed,
  type OnceReceipt,
  type Outcome,
  type SettledOutcome,
} from "../index.ts";
import { requestIdOf } from "./tool-name.ts";
import { brokenStore, faultOf, type ToolRules, termsFault, textOf } from "./tool-rules.ts";

/** What every adapter does alike: one call of a tool, made through the guard. */

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
export interface ToolCall<In, T, C = unknown> {
  readonly action: string;
  readonly input: In;
  /** What the framework hands the tool beside its input: what the rules are asked with. */
  readonly context: C;
  /** The framework's name for this call; it comes again when a run is resumed or replayed. */
  readonly callId: string | undefined;
  /**
   * What makes the call id unique: what the rules say, or a kind of the adapter's own with the run's
   * or the client's name. Default: the case.
   */
  readonly scope?: (() => string | undefined) | readonly (string | null)[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Who approved this very call in the framework's own way, if somebody did. */
  readonly approvedBy?: () => string | undefined;
  /** The effect of the guarded tool in which this one is called, if it is known. */
  readonly within?: EffectContext | undefined;
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
export async function callThrough<In, T, C>(
  guard: Guard,
  rules: ToolRules<In, C>,
  call: ToolCall<In, T, C>,
): Promise<ToolAnswer<T>> {
  const answer = await called(guard, rules, call);
  if (answer.held !== undefined && call.within !== undefined) noteWithin(call.within, answer.held);
  return answer;
}

async function called<In, T, C>(
  guard: Guard,
  rules: ToolRules<In, C>,
  call: ToolCall<In, T, C>,
): Promise<ToolAnswer<T>> {
  let paused: { readonly error: unknown } | undefined;
  /** What a guarded tool within this one was held by, where that is all that this one has to give. */
  let inner: HeldCall | undefined;

  const run = async (input: In, effect: EffectContext): Promise<T> => {
    let value: T;
    try {
      value = await call.run(input, effect);
    } catch (error) {
      if (call.pauses?.(error) !== true) throw error;
      paused = { error };
      throw new NotPerformed("its framework stopped it before its effect");
    }
    inner = heldWithin(effect, value);
    switch (inner?.effect) {
      case undefined:
      case "once":
        return value;
      case "none":
        throw new NotPerformed("a guarded tool within it was not executed");
      case "unknown":
        throw new Error("nobody knows whether a guarded tool within it was executed");
    }
  };

  try {
    const outcome = await asked(guard, rules, call, run);
    if (paused !== undefined) throw paused.error;
    if (outcome.status === "settled") {
      const { receipt, replayed } = outcome as SettledOutcome<T>;
      return { value: receipt.value as T, replayed, receipt };
    }
    const { status, effect, forModel } = outcome;
    if (inner?.effect === effect) return { held: inner };
    return { held: { held: status, effect, caseId: outcome.case.caseId, message: forModel } };
  } catch (error) {
    if (paused !== undefined) throw paused.error;
    const { code, effect, caseId, forModel } = isGuardError(error)
      ? error
      : brokenStore(rules, error);
    return { held: { held: code, effect, caseId, message: forModel } };
  }
}

async function asked<In, T, C>(
  guard: Guard,
  rules: ToolRules<In, C>,
  call: ToolCall<In, T, C>,
  run: (input: In, effect: EffectContext) => Promise<T>,
): Promise<Outcome<unknown>> {
  const { key, action: _, actor: who, onFault: __, ...terms } = rules;
  const { action, input: payload, context } = call;
  const says = (what: string, ask: (() => unknown) | undefined) =>
    textOf(ask, (cause) => faultOf(rules, `\`${what}\` of "${action}" gave no text.`, { cause }));

  const caseId = keyOf(rules, call);
  if (call.within?.caseId === caseId && call.within.action === action) {
    throw faultOf(rules, `"${action}" calls itself with the same key.`, { caseId });
  }
  const actor = typeof who === "function" ? says("actor", () => who(context) ?? "") : who;
  // Within another tool the framework's id is that one's: two asks of one name would be a conflict.
  const given = call.within === undefined ? call.scope : undefined;
  const scope = typeof given === "function" ? says("scope", given) : given;
  const requestId = await requestIdOf(scope, call.callId, caseId);
  const once = async () => {
    try {
      return await guard.execute<In, unknown>({
        ...terms,
        ...(actor === undefined ? {} : { actor }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
        ...{ action, caseId, requestId, payload, run },
      });
    } catch (error) {
      if (!isGuardError(error, "invalid_request")) throw error;
      const cause = termsFault(action, rules, actor);
      if (cause === undefined) throw error;
      throw faultOf(rules, `The rules of "${action}" can't be used.`, { cause, caseId });
    }
  };

  const first = await once();
  if (first.status !== "pending") return first;
  const approver = says("approvedBy", call.approvedBy);
  if (approver === undefined) return first;
  // The case may wait with other words in the fields that don't count: they run, and were not seen.
  if (!(await holds(guard, caseId, payload))) return first;
  try {
    await guard.approve(caseId, { actor: approver, note: `call ${call.callId ?? "unnamed"}` });
  } catch (cause) {
    if (!isGuardError(cause, "invalid_request")) throw cause;
    throw faultOf(rules, `\`approvedBy\` of "${action}" gave no name.`, { cause, caseId });
  }
  return once();
}

function keyOf<In, C>(rules: ToolRules<In, C>, call: ToolCall<In, unknown, C>): string {
  const { action, input, context } = call;
  const wrong = (cause?: unknown) =>
    faultOf(rules, `The key of "${action}" can't be taken: it must give a text.`, { cause });
  const key = textOf(() => rules.key(input, context), wrong);
  // Without a key nothing would be the same twice, and each call would run.
  if (key === undefined) throw wrong();
  return key;
}

/** Whether a case holds just this payload, in all of its fields. */
async function holds(guard: Guard, caseId: string, payload: unknown): Promise<boolean> {
  const kase = await guard.case(caseId).get();
  if (kase === undefined || kase.state === "RETIRED" || kase.intent === null) return false;
  return isSame(kase.intent.payload, payload);
}

/** Whether two JSON values are the same; the order of members doesn't count. */
function isSame(one: unknown, other: unknown): boolean {
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = Object.keys(one);
  const hasAll = Array.isArray(one) === Array.isArray(other);
  const isMatch = (name: string) => Object.hasOwn(other, name) && isSame(one[name], other[name]);
  return hasAll && names.length === Object.keys(other).length && names.every(isMatch);
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null;
}

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

/** What guarded tools within an effect were held by: their framework may make a text of it. */
const heldInEffect = new WeakMap<EffectContext, HeldCall[]>();

/** What a tool shows for a held call in another shape. */
const shapes = new WeakMap<object, HeldCall>();

/** Marks what is shown for a held call, so that a guarded tool around it doesn't take it for a result. */
export function markHeld<T>(shown: T, held: HeldCall): T {
  if (typeof shown === "object" && shown !== null) shapes.set(shown, held);
  return shown;
}

function noteWithin(effect: EffectContext, held: HeldCall): void {
  heldInEffect.set(effect, [...(heldInEffect.get(effect) ?? []), held]);
}

/** What a guarded tool within an effect was held by, if that is what the effect returned. */
function heldWithin(effect: EffectContext, value: unknown): HeldCall | undefined {
  if (isHeld(value)) return value;
  if (typeof value === "object" && value !== null) return shapes.get(value);
  return heldInEffect.get(effect)?.find(({ message }) => message === value);
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
  const effect = effectWithin(argument);
  if (effect === undefined) {
    throw new GuardError("invalid_request", "This tool was not called through the guard.", {
      next: "Hand effectOf the argument that the guarded tool was called with.",
    });
  }
  return effect;
}

/** The same, where there may be none: a tool that is called within another one's effect. */
export function effectWithin(argument: unknown): EffectContext | undefined {
  return (argument as { readonly [handed]?: EffectContext } | null | undefined)?.[handed];
}
