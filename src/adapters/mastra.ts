/**
 * Guards a tool of Mastra: what `createTool` takes.
 *
 * @module
 */
import { type EffectContext, type Guard, GuardError, NotPerformed } from "../index.ts";
import {
  callThrough,
  checkedRules,
  type HeldCall,
  isHeld,
  shownOf,
  type ToolRules,
  withEffect,
} from "./tool.ts";

export { effectOf, type HeldCall, isHeld, type ToolRules } from "./tool.ts";

/** How a tool of Mastra is guarded. */
export interface MastraToolRules<In, C = unknown> extends ToolRules<In> {
  /**
   * Who approved this very call in Mastra, if somebody did: a tool with `requireApproval: true` runs
   * only then. Counts as an approval of what runs, where the policy wants one.
   */
  readonly approvedBy?: (context: C) => string | undefined;
}

/** What `createTool` takes, as far as it is read. */
export interface MastraTool<In, C, Out> {
  readonly id: string;
  readonly outputSchema?: unknown;
  readonly execute: (input: In, context: C) => Promise<Out>;
}

/** What Mastra hands a tool, as far as it is read. */
interface Context {
  readonly runId?: string;
  readonly abortSignal?: AbortSignal;
  readonly suspend?: Suspend;
  readonly agent?: {
    readonly toolCallId?: string;
    readonly threadId?: string;
    readonly suspend?: Suspend;
  };
  readonly workflow?: { readonly runId?: string; readonly suspend?: Suspend };
}

type Suspend = (...given: unknown[]) => unknown;

/** How a tool stopped before its effect: Mastra resumes it by running it again, from its top. */
type Suspended<Out> =
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
  checkedRules(tool.id, rules);
  const { approvedBy, ...terms } = rules;
  const action = rules.action ?? tool.id;

  const execute = async (input: In, context: C): Promise<Out | HeldCall> => {
    let suspended: Suspended<Out> | undefined;
    const run = async (given: In, effect: EffectContext): Promise<Out> => {
      let asked = false;
      const watched = watching(context as Context, () => {
        asked = true;
      });
      try {
        const value = await tool.execute(given, withEffect(watched, effect) as C);
        if (!asked) return value;
        suspended = { kind: "returned", value };
      } catch (error) {
        if (!asked) throw error;
        suspended = { kind: "threw", error };
      }
      throw new NotPerformed("its framework suspended it before its effect");
    };

    const { callId, scope } = identityOf(context as Context);
    const answer = await callThrough<In, Out>(guard, terms, {
      action,
      input,
      callId,
      scope: () => scope,
      signal: (context as Context | undefined)?.abortSignal,
      approvedBy: () => approvedBy?.(context),
      run,
    });
    const shown = shownOf(answer);
    if (!isHeld(shown)) return shown;
    if (suspended === undefined || shown.held !== "not_performed") {
      if (tool.outputSchema === undefined) return shown;
      throw Object.assign(new Error(shown.message), { held: shown });
    }
    if (suspended.kind === "threw") throw suspended.error;
    return suspended.value;
  };
  return { ...tool, execute };
}

/**
 * An agent's call has an id, unique within its run. A step of a workflow has none: there a run asks
 * once for each case.
 */
function identityOf(context: Context | undefined): {
  callId: string | undefined;
  scope: string | undefined;
} {
  const { agent, workflow, runId } = context ?? {};
  const callId = agent?.toolCallId || undefined;
  return callId === undefined
    ? { callId: workflow?.runId, scope: undefined }
    : { callId, scope: runId ?? agent?.threadId };
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
