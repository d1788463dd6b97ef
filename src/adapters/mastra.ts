/**
 * Guards a tool of Mastra: what `createTool` takes.
 *
 * @module
 */
import { type EffectContext, type Guard, GuardError, NotPerformed } from "../index.ts";
import {
  callThrough,
  effectWithin,
  type HeldCall,
  isHeld,
  markGuarded,
  refuseGuarded,
  shownOf,
  withEffect,
} from "./tool.ts";
import { checkedRules, type ToolRules } from "./tool-rules.ts";

export { effectOf, type HeldCall, isHeld } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** How a tool of Mastra is guarded. */
export interface MastraToolRules<In, C = unknown> extends ToolRules<In, C> {
  /**
   * Who approved this very call in Mastra. Counts as an approval of what runs, where the policy wants
   * one. Asked only for a tool with `requireApproval: true`, and only for a call of an agent's: Mastra
   * runs that after somebody approved it, and calls of a workflow or of a program without asking.
   */
  readonly approvedBy?: (context: C) => string | undefined;
}

/** What `createTool` takes, as far as it is read. */
export interface MastraTool<In, C, Out> {
  readonly id: string;
  readonly outputSchema?: unknown;
  readonly requireApproval?: unknown;
  readonly execute: (input: In, context: C) => Promise<Out>;
}

/** What Mastra hands a tool, as far as it is read. */
interface Context {
  readonly runId?: string;
  readonly abortSignal?: AbortSignal;
  readonly suspend?: Suspend;
  readonly agent?: {
    readonly toolCallId?: string;
    readonly suspend?: Suspend;
  };
  readonly workflow?: { readonly runId?: string; readonly suspend?: Suspend };
}

type Suspend = (...given: unknown[]) => unknown;

/** How a tool stopped before its effect: suspended, to be run again from its top, or refused its input. */
type Stopped<Out> =
  | { readonly kind: "returned"; readonly value: Out }
  | { readonly kind: "threw"; readonly error: unknown };

/**
 * Guards a tool's definition: hand what comes back to `createTool`. Where the tool did not run, its
 * caller gets a `HeldCall` as its result; a tool with an `outputSchema`, which that would not fit,
 * throws an error whose message is the held call's, since Mastra hands the model an error's message.
 *
 * @throws GuardError `invalid_request` for wrong rules, or for what `createTool` has made already
 * @example
 * const refund = createTool(guardTool(guard, { id: "refund", inputSchema, execute }, {
 *   key: ({ orderId }) => `refund:${orderId}`,
 * }));
 */
export function guardTool<In, C, Out, T extends MastraTool<In, C, Out>>(
  guard: Guard,
  tool: T & MastraTool<In, C, Out>,
  rules: MastraToolRules<In, C>,
): Omit<T, "execute"> & { readonly execute: (input: In, context: C) => Promise<Out | HeldCall> } {
  if (made in tool) throw madeAlready(tool.id);
  refuseGuarded(tool.id, tool.execute);
  const { approvedBy, ...terms } = checkedRules(tool.id, rules);
  const action = rules.action ?? tool.id;

  const execute = async (input: In, context: C): Promise<Out | HeldCall> => {
    let stopped: Stopped<Out> | undefined;
    const run = async (given: In, effect: EffectContext): Promise<Out> => {
      let asked = false;
      const watched = watching(context as Context, () => {
        asked = true;
      });
      try {
        const value = await tool.execute(given, withEffect(watched, effect) as C);
        const check = asked ? undefined : checkIn(value);
        if (!asked && check === undefined) return value;
        if (check === "late") throw new Error("a check within it refused its result");
        stopped = { kind: "returned", value };
      } catch (error) {
        // A guarded tool within this one, which has an output schema.
        const { held } = Object(error) as { readonly held?: unknown };
        if (isHeld(held)) return held as Out;
        if (!asked) throw error;
        stopped = { kind: "threw", error };
      }
      throw new NotPerformed("its framework stopped it before its effect");
    };

    const { callId, scope } = identityOf(context as Context);
    const answer = await callThrough<In, Out, C>(guard, terms, {
      action,
      input,
      context,
      within: effectWithin(context),
      callId,
      scope,
      signal: (context as Context | undefined)?.abortSignal,
      approvedBy: () => (isAsked(tool, context as Context) ? approvedBy?.(context) : undefined),
      run,
    });
    const shown = shownOf(answer);
    if (!isHeld(shown)) return shown;
    if (stopped === undefined || shown.held !== "not_performed") {
      if (tool.outputSchema === undefined) return shown;
      throw Object.assign(new Error(shown.message), { held: shown });
    }
    if (stopped.kind === "threw") throw stopped.error;
    return stopped.value;
  };
  markGuarded(execute);
  return { ...tool, execute };
}

/** Whether Mastra runs this call only after somebody approved it. The context doesn't tell who, or that. */
function isAsked(tool: MastraTool<never, never, unknown>, context: Context | undefined): boolean {
  return tool.requireApproval === true && context?.agent?.toolCallId !== undefined;
}

/**
 * What a tool of Mastra within this one returned of its own checks: `early`, before its effect;
 * `late`, after its start. A check's result is never what the effect came to.
 */
function checkIn(value: unknown): "early" | "late" | undefined {
  const { error, validationErrors, message } = Object(value) as Record<string, unknown>;
  if (error !== true || validationErrors === undefined) return undefined;
  return /^(Tool input|Request context) validation failed/.test(String(message)) ? "early" : "late";
}

/**
 * An agent's call has an id, unique within its run. A step of a workflow has none: there a run asks
 * once for each case.
 */
function identityOf(context: Context | undefined): {
  callId: string | undefined;
  scope: readonly string[] | undefined;
} {
  const { agent, workflow, runId } = context ?? {};
  const callId = agent?.toolCallId || undefined;
  return callId === undefined
    ? { callId: workflow?.runId, scope: undefined }
    : { callId, scope: runId === undefined ? undefined : ["run", runId] };
}

/** The context, telling when the tool asks to be suspended. */
function watching(context: Context | undefined, asked: () => void): Context {
  const watched = <O extends { readonly suspend?: Suspend }>(part: O): O => {
    const { suspend } = part;
    if (typeof suspend !== "function") return part;
    const told: Suspend = (...given) => {
      asked();
      return suspend.apply(part, given);
    };
    return { ...part, suspend: told };
  };
  const { agent, workflow } = context ?? {};
  return {
    ...watched(context ?? {}),
    ...(agent === undefined ? {} : { agent: watched(agent) }),
    ...(workflow === undefined ? {} : { workflow: watched(workflow) }),
  };
}

/** Marks what `createTool` has made: its `execute` checks its input and its result itself. */
const made = Symbol.for("mastra.core.tool.Tool");

function madeAlready(id: string): GuardError {
  return new GuardError("invalid_request", `The tool "${id}" is made already.`, {
    next: "Its checks would be taken for its effect. Guard what it is made of: createTool(guardTool(guard, { id, execute, … }, rules)).",
  });
}
