/**
 * Guards tools of the AI SDK, versions 6 and 7: a tool keeps its type, and its `execute` goes through
 * the guard.
 *
 * @module
 */
import { type Guard, GuardError } from "../index.ts";
import {
  callThrough,
  effectWithin,
  isHeld,
  markGuarded,
  refuseGuarded,
  shownOf,
  withEffect,
} from "./tool.ts";
import { checkedRules, type ToolRules } from "./tool-rules.ts";

export { effectOf, type HeldCall, isHeld } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** A tool of the AI SDK, by structure. */
export interface AiTool {
  readonly execute?: ((input: never, options: never) => unknown) | undefined;
}

/** What the AI SDK hands a tool's `execute` beside its input, as far as it is used here. */
export interface AiToolCall {
  readonly toolCallId: string;
  readonly messages: readonly unknown[];
  readonly abortSignal?: AbortSignal | undefined;
}

type InputOf<T extends AiTool> =
  NonNullable<T["execute"]> extends (input: infer In, options: infer _) => unknown ? In : never;

type OptionsOf<T extends AiTool> =
  NonNullable<T["execute"]> extends (input: infer _, options: infer O) => unknown ? O : never;

/** How a tool of the AI SDK is guarded. */
export interface AiToolRules<T extends AiTool> extends ToolRules<InputOf<T>, OptionsOf<T>> {
  /**
   * What makes a call's id unique, such as the chat's id. Default: the case.
   *
   * @example scope: (options) => options.context.chatId
   */
  readonly scope?: (options: OptionsOf<T>) => string | undefined;
  /**
   * Who approved this very call in the AI SDK's own way: it counts as their approval where the
   * policy asks for one. The name must come from the server's session, never from the messages.
   *
   * @example approvedBy: (options) => (isApproved(options) ? options.context.userId : undefined)
   */
  readonly approvedBy?: (options: OptionsOf<T>) => string | undefined;
}

/**
 * The same tool, with its own types, whose `execute` runs at most once per key. A repeat gets the
 * original result. What is held reaches the model as a text that says what to do, never as a tool
 * error; in code it is a `HeldCall`, told from a result by `isHeld`.
 *
 * @param rules.action names the effect in the record: the AI SDK's tools have no name of their own
 * @throws GuardError `invalid_request` for wrong rules, a tool without `execute`, or one that is guarded already
 * @example
 * const refund = guardTool(guard, refundTool, {
 *   action: "refund",
 *   key: ({ orderId }) => `refund:${orderId}`,
 * });
 */
export function guardTool<T extends AiTool>(
  guard: Guard,
  tool: T,
  rules: AiToolRules<T> & { readonly action: string },
): T {
  const { action } = rules ?? {};
  if (typeof action !== "string") {
    throw new GuardError("invalid_request", "A tool of the AI SDK needs `action`.", {
      next: 'Name the effect: guardTool(guard, tool, { action: "refund", key }), or use guardTools.',
    });
  }
  const { scope, approvedBy, ...terms } = checkedRules(
    action,
    rules,
  ) as unknown as AiToolRules<Executable>;
  const plain = executable(action, tool);

  const execute: Execute = async (input, options) => {
    const answer = await callThrough<unknown, unknown, AiToolCall>(guard, terms, {
      action,
      input,
      context: options,
      within: effectWithin(options),
      callId: options.toolCallId,
      signal: options.abortSignal,
      scope: () => scope?.(options),
      approvedBy: () => approvedBy?.(options),
      run: (payload, effect) => {
        const handed = withEffect({ ...options, abortSignal: effect.signal }, effect);
        return lastOf(plain.execute(payload, handed));
      },
    });
    return shownOf(answer);
  };
  markGuarded(execute);

  const own = plain.toModelOutput?.bind(plain) ?? asItIs;
  const toModelOutput: ToModelOutput = (given) =>
    isHeld(given.output) ? { type: "text", value: given.output.message } : own(given);

  const { outputSchema } = plain;
  const schema = outputSchema === undefined ? {} : { outputSchema: orHeld(outputSchema) };
  return { ...tool, execute, toModelOutput, ...schema };
}

/**
 * A set of tools, those with rules guarded. Each one's action is its name in the set; tools without
 * rules stay as they are.
 *
 * @throws GuardError `invalid_request` as `guardTool` does, and for rules without a tool
 * @example
 * const tools = guardTools(guard, { refund, searchOrders }, {
 *   refund: { key: ({ orderId }) => `refund:${orderId}` },
 * });
 */
export function guardTools<T extends { readonly [name: string]: AiTool }>(
  guard: Guard,
  tools: T,
  rules: { readonly [Name in keyof T]?: AiToolRules<T[Name]> },
): T {
  const entries = Object.entries(rules).map(([name, rule]) => {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (tool === undefined) {
      throw new GuardError("invalid_request", `There are rules for "${name}", but no such tool.`);
    }
    return [name, guardTool(guard, tool, { action: name, ...rule } as never)];
  });
  return { ...tools, ...Object.fromEntries(entries) };
}

interface Part {
  readonly type?: unknown;
  readonly approvalId?: unknown;
  readonly toolCallId?: unknown;
  readonly isAutomatic?: unknown;
  readonly approved?: unknown;
}

/**
 * Whether a person approved this very call in the messages that the AI SDK runs it from
 * (`needsApproval`, `toolApproval`). Whoever may post messages may claim an approval: sign them
 * (`experimental_toolApprovalSecret`), or keep the conversation on the server.
 *
 * @example approvedBy: (options) => (isApproved(options) ? options.context.userId : undefined)
 */
export function isApproved(options: Pick<AiToolCall, "toolCallId" | "messages">): boolean {
  const ofCall = options.messages
    .flatMap((message) => partsOf(message, "assistant"))
    .filter(({ toolCallId }) => toolCallId === options.toolCallId);
  // Models use a call's id again: only what was asked of the last call under it is about this one.
  const isCall = ofCall.map(({ type }) => type === "tool-call");
  const asked = ofCall
    .slice(isCall.lastIndexOf(true) + 1)
    .findLast(({ type }) => type === "tool-approval-request");
  if (asked === undefined || asked.isAutomatic === true) return false;
  // As the AI SDK reads it: only what the last message answers is run, and the first answer counts.
  const answer = partsOf(options.messages.at(-1), "tool").find(
    ({ type, approvalId }) => type === "tool-approval-response" && approvalId === asked.approvalId,
  );
  return answer?.approved === true;
}

function partsOf(message: unknown, role: string): readonly Part[] {
  const said = message as { readonly role?: unknown; readonly content?: unknown } | undefined;
  return said?.role === role && Array.isArray(said.content) ? said.content : [];
}

type Execute = (input: unknown, options: AiToolCall) => unknown;

type ToModelOutput = (given: { readonly output: unknown }) => unknown;

/** A tool with what is put in the place of its own. */
interface Executable {
  readonly execute: Execute;
  readonly toModelOutput?: ToModelOutput | undefined;
  readonly outputSchema?: Schema | undefined;
}

function executable(action: string, tool: AiTool): Executable {
  const { execute } = (tool ?? {}) as Partial<Executable>;
  if (typeof execute !== "function") {
    throw new GuardError("invalid_request", `The tool "${action}" has no \`execute\`.`, {
      next: "Guard it where it is executed: a tool of the client's or the provider's is not run here.",
    });
  }
  refuseGuarded(action, execute);
  return tool as Executable;
}

/** A tool may return a stream of results: the last one is what it came to. */
async function lastOf(result: unknown): Promise<unknown> {
  const value = await result;
  if (typeof (value as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] !== "function") {
    return value;
  }
  let last: unknown;
  for await (const part of value as AsyncIterable<unknown>) last = part;
  return last;
}

/** What the AI SDK makes of an output by itself. */
const asItIs: ToModelOutput = ({ output }) =>
  typeof output === "string"
    ? { type: "text", value: output }
    : { type: "json", value: output ?? null };

/** A schema as the AI SDK takes them: Standard Schema, its own kind, or a function that gives one. */
type Schema =
  | { readonly "~standard": { readonly validate: (value: unknown) => unknown } }
  | { readonly validate?: ((value: unknown) => unknown) | undefined }
  | (() => Schema);

/** The same schema, which also lets pass what is held: a conversation that is read again has both. */
function orHeld(schema: Schema): Schema {
  if ("~standard" in schema) {
    const standard = schema["~standard"];
    const validate = (value: unknown) => (isHeld(value) ? { value } : standard.validate(value));
    // Under another name, since some vendors' schemas are not asked by this interface.
    return { "~standard": heir(standard, { vendor: "safeagent", validate }) };
  }
  if (typeof schema === "function") return () => orHeld(schema());
  const plain = schema.validate?.bind(schema);
  if (plain === undefined) return schema;
  const validate = (value: unknown) => (isHeld(value) ? { success: true, value } : plain(value));
  return heir(schema, { validate });
}

/** An object that has all of another's, as it has it, but for some members. */
function heir<T extends object>(parent: T, own: object): T {
  return Object.create(parent, Object.getOwnPropertyDescriptors(own)) as T;
}
