import { mapStoredMessageToChatMessage, ToolMessage } from "@langchain/core/messages";
import { type EffectContext, type Guard, GuardError } from "../index.ts";
import { isPlain, keep, lost, type ReviveMessage, recall } from "./langchain-result.ts";
import {
  callThrough,
  effectOf as effectIn,
  effectWithin,
  type HeldCall,
  isHeld,
  withEffect,
} from "./tool.ts";
import { checkedRules, type ToolRules } from "./tool-rules.ts";

/**
 * Guards tools of LangChain and LangGraph: a checkpoint that is replayed, a node that runs again
 * after an `interrupt()`, or a model that asks again under a new id, gets the first result, and the
 * effect runs once.
 *
 * @module
 */
export type { HeldCall } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** The config that LangChain hands a tool, as far as rules ask for it. */
export interface ToolConfig {
  /** What the run was started with: `thread_id`, and what is of your own. */
  readonly configurable?: Readonly<Record<string, unknown>>;
  /** LangGraph's runtime context. */
  readonly context?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** How a tool of LangChain is guarded. */
export interface LangChainToolRules<In> extends ToolRules<In, ToolConfig> {
  /**
   * What makes a call's id unique, such as the run's name. Default: the case. A thread is not enough
   * where a model numbers its calls: it holds many runs, and `call_1` comes again in each.
   *
   * @example scope: ({ configurable }) => String(configurable?.thread_id)
   */
  readonly scope?: (config: ToolConfig) => string | undefined;
}

/** What the guard looks at in a tool. */
export interface Tool {
  readonly name: string;
  readonly schema: unknown;
  invoke(input: never, config?: never): Promise<unknown>;
}

/** What a tool's schema makes of its arguments, as LangChain hands it to the function. */
export type InputOf<T> = T extends { readonly schema: infer Schema }
  ? Schema extends {
      readonly "~standard": { readonly types?: { readonly output: infer Out } | undefined };
    }
    ? Out
    : Schema extends { readonly _output: infer Out }
      ? Out
      : Readonly<Record<string, unknown>>
  : never;

/**
 * Guards a tool: what `tool()` makes, or a `StructuredTool`. The guarded tool goes wherever the tool
 * went: `createAgent`, `ToolNode`, or `invoke`. What holds a call reaches the model as a
 * `ToolMessage` with status `error`; nothing is thrown but what pauses a graph.
 *
 * What the tool does before it calls `interrupt()` counts as nothing done, and is done again on
 * resuming: interrupt first, then act.
 *
 * @throws GuardError `invalid_request` for rules without `key`, and what is not a tool or is guarded
 * already
 * @example
 * const refund = guardTool(guard, tool(payments.refund, { name: "refund", schema }), {
 *   key: ({ orderId }) => `refund:${orderId}`,
 * });
 */
export function guardTool<T extends Tool>(
  guard: Guard,
  tool: T,
  rules: LangChainToolRules<InputOf<T>>,
): T {
  return guarded(guard, tool, (name) => checkedRules(name, rules));
}

/**
 * What the guard hands a tool's effect, found in the config that LangChain hands the tool.
 *
 * @throws GuardError `invalid_request` where the tool was not called through the guard
 * @example tool((input, config) => charge(input, { idempotencyKey: effectOf(config).idempotencyKey }), …)
 */
export function effectOf(config: unknown): EffectContext {
  return effectIn((config as Config | undefined)?.configurable);
}

/** What the guard looks at in a call of a tool, as an agent's middleware gets it. */
export interface ToolRequest {
  readonly toolCall: { readonly name: string; readonly id?: string | undefined };
  readonly tool: unknown;
}

/** A middleware of `createAgent`. */
export interface GuardMiddleware {
  readonly name: string;
  wrapToolCall<Request extends ToolRequest, Out>(
    request: Request,
    handler: (request: Request) => Out | Promise<Out>,
  ): Promise<Out | ToolMessage>;
}

/**
 * A middleware of `createAgent` that guards tools by their names; the others go through. Put it
 * first: what stands before it can't see that a tool of another name threw, since with a middleware
 * an error ends the run, and this one makes it the message that it would be without.
 *
 * @throws GuardError `invalid_request` for rules without `key`
 * @example
 * const agent = createAgent({
 *   model,
 *   tools: [refund, lookUp],
 *   middleware: [
 *     guardMiddleware(guard, {
 *       tools: { refund: { key: (input: { orderId: string }) => `refund:${input.orderId}` } },
 *     }),
 *   ],
 * });
 */
export function guardMiddleware(
  guard: Guard,
  options: { readonly tools: Readonly<Record<string, LangChainToolRules<never>>> },
): GuardMiddleware {
  if (typeof options?.tools !== "object" || options.tools === null) {
    throw new GuardError("invalid_request", "The middleware needs `tools`, rules by tool names.");
  }
  const rulesByTool = new Map(Object.entries(options.tools));
  for (const [name, rules] of rulesByTool) checkedRules(name, rules);

  const wrapToolCall: GuardMiddleware["wrapToolCall"] = async (request, handler) => {
    const { name, id } = request.toolCall;
    const answer = (content: string) =>
      new ToolMessage({ status: "error", content, name, tool_call_id: id ?? "" });
    const rules = rulesByTool.get(name);
    if (rules !== undefined && !isTool(request.tool)) {
      return answer(
        `Not executed: there is no tool "${name}" here. Do not call it again; continue with other work.`,
      );
    }
    const isOpen = rules === undefined || isGuarded(request.tool);
    try {
      if (isOpen) return await handler(request);
      // The tool is exchanged, not the call wrapped: its arguments have passed its schema when the
      // guard sees them, and a middleware that calls the handler again doesn't run it again.
      return await handler({ ...request, tool: guarded(guard, request.tool as Tool, () => rules) });
    } catch (error) {
      if (isPause(error) || isFrameworks(error)) throw error;
      return answer(`${error}\n Please fix your mistakes.`);
    }
  };
  // The mark that createMiddleware() gives.
  const brand = { [Symbol.for("AgentMiddleware")]: true };
  return { ...brand, name: "SafeAgent", wrapToolCall };
}

/** What a tool has that LangChain calls after checking the arguments, and before making a message. */
interface Callable extends Tool {
  readonly responseFormat?: string;
  _call(input: unknown, manager?: RunManager, config?: Config): unknown;
}

interface RunManager {
  handleToolEvent?(event: unknown): Promise<void>;
}

interface Config extends ToolConfig {
  readonly toolCall?: { readonly id?: string };
  readonly signal?: AbortSignal;
}

const mark = Symbol.for("safeagent.guarded");

function isTool(tool: unknown): tool is Callable {
  return typeof (tool as Callable | null | undefined)?._call === "function";
}

function isGuarded(tool: unknown): boolean {
  return (tool as { readonly [mark]?: true } | null | undefined)?.[mark] === true;
}

/** The guarded tool; `rulesFor` checks them, where they were not checked before. */
function guarded<T extends Tool>(
  guard: Guard,
  tool: T,
  rulesFor: (name: string) => LangChainToolRules<never>,
): T {
  if (!isTool(tool)) {
    throw new GuardError("invalid_request", "This is not a tool as LangChain's tool() makes it.", {
      next: "Guard what tool() returns, or a StructuredTool.",
    });
  }
  if (isGuarded(tool)) {
    throw new GuardError("invalid_request", `The tool "${tool.name}" is guarded already.`);
  }
  const { scope, ...rules } = rulesFor(tool.name);
  const terms = rules as ToolRules<unknown, ToolConfig>;
  const action = rules.action ?? tool.name;
  const isPair = tool.responseFormat === "content_and_artifact";

  const call: Callable["_call"] = async (input, manager, config = {}) => {
    const callId = config.toolCall?.id;
    let ran: { readonly result: unknown } | undefined;
    const run = async (payload: unknown, effect: EffectContext) => {
      const result = await drained(tool._call(payload, manager, within(config, effect)), manager);
      const held = heldIn(isPair && isTwo(result) ? result[1] : result);
      if (held !== undefined) return held;
      ran = { result };
      return keep(result, callId, isPair);
    };
    const answer = await callThrough<unknown, unknown, ToolConfig>(guard, terms, {
      action,
      input,
      context: config,
      within: effectWithin(config.configurable),
      callId,
      scope: () => scope?.(config),
      signal: config.signal,
      run,
      pauses: isPause,
    });
    if (answer.held !== undefined) return refused(tool, answer.held, callId, isPair);
    // Who ran it gets the tool's own message or command, or what no receipt can hold.
    const { valueForm } = answer.receipt;
    const own = ran === undefined || answer.replayed || isPlain(answer.value) ? undefined : ran;
    const kept = () =>
      valueForm === "omitted" ? lost : recall(answer.value, callId, isPair, revive);
    const result = own === undefined ? kept() : own.result;
    return isPair && !isTwo(result) ? [result, undefined] : result;
  };
  return Object.create(tool, { _call: { value: call }, [mark]: { value: true } }) as T;
}

/**
 * The config that the tool gets. Without the signal: LangChain would end the call with an error while
 * the effect goes on, and its result would be lost. `effectOf(config).signal` is there for the effect.
 */
function within(config: Config, effect: EffectContext): Config {
  const { signal: _, ...rest } = config;
  return { ...rest, configurable: withEffect(config.configurable, effect) };
}

/** What a guarded tool within this one was held by, where its message is all that this one returns. */
function heldIn(result: unknown): HeldCall | undefined {
  if (isHeld(result)) return result;
  const { artifact } = Object(result) as { readonly artifact?: unknown };
  return ToolMessage.isInstance(result) && isHeld(artifact) ? artifact : undefined;
}

/** What a tool returns; one that reports its progress returns it at its end. */
async function drained(returned: unknown, manager: RunManager | undefined): Promise<unknown> {
  const result = await returned;
  if (Object.prototype.toString.call(result) !== "[object AsyncGenerator]") return result;
  const steps = result as AsyncGenerator<unknown, unknown>;
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
    // Who listens to the progress can't end what is under way.
    await manager?.handleToolEvent?.(step.value).catch(() => {});
  }
}

function refused(tool: Tool, held: HeldCall, callId: string | undefined, isPair: boolean): unknown {
  const { message: content } = held;
  if (callId === undefined) return isPair ? [content, held] : content;
  const said = { content, artifact: held, name: tool.name, tool_call_id: callId };
  const message = new ToolMessage({ ...said, status: "error" });
  return isPair ? [message, held] : message;
}

const revive: ReviveMessage = (stored) => mapStoredMessageToChatMessage(stored as never);

function isTwo(value: unknown): value is readonly [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}

const pauses: ReadonlySet<unknown> = new Set(["GraphInterrupt", "NodeInterrupt", "GraphDrained"]);
const invalidResume = Symbol.for("langgraph.invalid_resume");

/** Whether an error is how a graph stops, to go on with the same call later. */
function isPause(error: unknown): boolean {
  const { name, is_bubble_up } = Object(error) as { name?: unknown; is_bubble_up?: unknown };
  return (is_bubble_up === true && pauses.has(name)) || isInvalidResume(error);
}

/** Whether an interrupt was answered by what it doesn't take: it can be answered again. */
function isInvalidResume(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > 9) return false;
  const { cause, [invalidResume]: isSo } = error as Error & { [invalidResume]?: true };
  return isSo === true || isInvalidResume(cause, depth + 1);
}

/** Whether LangChain knows what to do with an error: bad arguments, or another middleware's own. */
function isFrameworks(error: unknown): boolean {
  return typeof error === "object" && error !== null && "~brand" in error;
}
