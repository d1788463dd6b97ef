import { type Guard, GuardError } from "../index.ts";
import {
  callThrough,
  effectWithin,
  type HeldCall,
  isHeld,
  markGuarded,
  markHeld,
  refuseGuarded,
  shownOf,
  withEffect,
} from "./tool.ts";
import { checkedRules, type ToolRules } from "./tool-rules.ts";

/**
 * Guards tools of the OpenAI Agents SDK: a saved run resumed twice, or a model that asks again under
 * a new id, gets the first result, and the effect runs once.
 *
 * @module
 */
export { effectOf, type HeldCall, isHeld } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** What the guard looks at in a run's context. */
export interface RunContext {
  readonly context: unknown;
  isToolApproved(approval: {
    readonly toolName: string;
    readonly callId: string;
  }): boolean | undefined;
}

/** What the guard looks at in a call's details. */
export interface CallDetails {
  readonly toolCall?: {
    readonly callId: string;
    readonly name: string;
    readonly namespace?: string | undefined;
  };
  readonly signal?: AbortSignal;
}

/** How a tool of the OpenAI Agents SDK is guarded. */
export interface OpenAIToolRules<In> extends ToolRules<In, RunContext | undefined> {
  /**
   * What makes a call's id unique, the conversation's or the run's name: a model's ids are unique
   * within a run only. Default: the case.
   *
   * @example scope: (run) => (run?.context as MyContext).conversationId
   */
  readonly scope?: (context: RunContext | undefined, details: CallDetails | undefined) => string;
  /**
   * Who approved this call by `state.approve`. Then that counts as this person's approval of the
   * case, and a policy `approval({ from })` that trusts the person is satisfied. Asked only for a
   * call that was approved itself: `alwaysApprove` agrees to arguments that nobody has seen, and
   * doesn't count.
   */
  readonly approvedBy?: (
    context: RunContext,
    details: CallDetails | undefined,
  ) => string | undefined;
  /** What the model gets for a held call. Default: the held call itself. A tool with an `outputSchema` needs it. */
  readonly heldOutput?: (held: HeldCall) => unknown;
}

/** What a tool's schema makes of its arguments, as the SDK hands it to `execute`. */
export type InputOf<Parameters> = Parameters extends {
  readonly "~standard": { readonly types?: { readonly output: infer Out } | undefined };
}
  ? Out
  : Parameters extends { readonly _output: infer Out }
    ? Out
    : Parameters extends object
      ? unknown
      : string;

/** What the guard looks at in the options of `tool()`. The methods, so that a context of one's own fits. */
export interface ToolOptions<Parameters, Out> {
  readonly name?: string;
  readonly parameters: Parameters;
  readonly strict?: boolean;
  needsApproval?:
    | boolean
    | {
        bivariant(
          context: RunContext,
          input: InputOf<Parameters>,
          callId?: string,
        ): Promise<boolean>;
      }["bivariant"];
  execute(
    input: InputOf<Parameters>,
    context?: RunContext,
    details?: CallDetails,
  ): Out | Promise<Out>;
}

/** The same options, with `execute` guarded. */
export type GuardedOptions<Options, Parameters, Out> = Omit<Options, "execute" | "name"> & {
  readonly name: string;
  readonly execute: (
    input: InputOf<Parameters>,
    context?: RunContext,
    details?: CallDetails,
  ) => Promise<Options extends { readonly outputSchema: object } ? Out : Out | HeldCall>;
};

/**
 * Guards a tool before it is made: takes the options of `tool()` and gives them back, with `execute`
 * behind the guard. What holds a call reaches the model as a value, since the SDK tells it of
 * everything thrown to "try again".
 *
 * @throws GuardError `invalid_request` for options without a name or `execute`, rules without `key`,
 * and an `outputSchema` without `heldOutput`
 * @example
 * const refund = tool(
 *   guardTool(
 *     guard,
 *     {
 *       name: "refund",
 *       description: "Refunds an order.",
 *       parameters: z.object({ orderId: z.string(), cents: z.number().int() }),
 *       execute: ({ orderId, cents }) => payments.refund(orderId, cents),
 *     },
 *     { key: ({ orderId }) => `refund:${orderId}` },
 *   ),
 * );
 */
export function guardTool<Parameters, Out, Options>(
  guard: Guard,
  options: Options & ToolOptions<Parameters, Out>,
  rules: OpenAIToolRules<InputOf<Parameters>>,
): GuardedOptions<Options, Parameters, Out> {
  type In = InputOf<Parameters>;
  const execute = checkedExecute(options);
  const name = options.name ?? execute.name;
  if (name === "") {
    throw new GuardError("invalid_request", "A guarded tool needs a `name`.");
  }
  const { scope, approvedBy, heldOutput, ...terms } = checkedRules(name, rules);
  const action = rules.action ?? name;
  if ("outputSchema" in options && options.outputSchema !== undefined && heldOutput === undefined) {
    throw new GuardError("invalid_request", `The tool "${name}" has an outputSchema.`, {
      next: "Say by `heldOutput` what of that shape the model gets for a call that was held.",
    });
  }

  const once = async (
    input: In,
    context?: RunContext,
    details?: CallDetails,
  ): Promise<Out | HeldCall> => {
    const answer = await callThrough<In, Out, RunContext | undefined>(guard, terms, {
      action,
      input,
      context,
      within: effectWithin(details),
      callId: details?.toolCall?.callId,
      signal: details?.signal,
      scope: () => scope?.(context, details),
      approvedBy: () => approverOf(context, details, approvedBy),
      run: (payload, effect) => {
        const handed = withEffect({ ...details, signal: effect.signal }, effect);
        return execute.call(options, payload, context, handed);
      },
    });
    const shown = shownOf(answer);
    if (!isHeld(shown) || heldOutput === undefined) return shown;
    return markHeld(heldOutput(shown) as Out, shown);
  };
  markGuarded(once);
  return { ...options, name, execute: once } as GuardedOptions<Options, Parameters, Out>;
}

function checkedExecute<E>(options: { readonly name?: string; readonly execute: E }): E {
  const { execute } = options ?? {};
  if (typeof execute !== "function") {
    throw new GuardError("invalid_request", "The options of the tool have no `execute`.", {
      next: "Guard the options, before tool(): tool(guardTool(guard, { … }, { key })).",
    });
  }
  refuseGuarded(options.name ?? execute.name, execute);
  return execute;
}

/** Who approved this very call, if the rules know. */
function approverOf<In>(
  context: RunContext | undefined,
  details: CallDetails | undefined,
  approvedBy: OpenAIToolRules<In>["approvedBy"],
): string | undefined {
  const toolCall = details?.toolCall;
  if (approvedBy === undefined || context === undefined || toolCall === undefined) return undefined;
  const isApproved = (toolName: string, callId: string) =>
    context.isToolApproved({ toolName, callId }) === true;
  // A call that nobody makes is approved only where all calls are.
  const isThisCalls = (toolName: string) =>
    isApproved(toolName, toolCall.callId) && !isApproved(toolName, crypto.randomUUID());
  if (!namesOf(toolCall).some(isThisCalls)) return undefined;
  return approvedBy(context, details);
}

/** What the SDK may call a tool in its record of approvals: in a namespace, by a key of its own. */
function namesOf({ name, namespace }: NonNullable<CallDetails["toolCall"]>): readonly string[] {
  if (namespace === undefined) return [name];
  return [`${namespace}.${name}`, JSON.stringify(["namespaced", namespace, name])];
}
