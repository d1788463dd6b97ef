/**
 * Guards the tools of an MCP server: the handler that `registerTool` of `@modelcontextprotocol/sdk`
 * (version 1) and of `@modelcontextprotocol/server` (version 2) take, and `tool` of the Claude Agent SDK.
 *
 * @module
 */
import {
  approval,
  type EffectContext,
  type Guard,
  GuardError,
  isGuardError,
  NotPerformed,
} from "../index.ts";
import { type McpRequest, type Question, requestOf } from "./mcp-request.ts";
import {
  callThrough,
  effectWithin,
  type HeldCall,
  markGuarded,
  refuseGuarded,
  type ToolAnswer,
  withEffect,
} from "./tool.ts";
import {
  brokenStore,
  checkedRules,
  type Faults,
  faultOf,
  textOf as ruleTextOf,
  type ToolRules,
} from "./tool-rules.ts";

export { effectOf, type HeldCall } from "./tool.ts";
export type { ToolRules } from "./tool-rules.ts";

/** How a tool of an MCP server is guarded. `A`: its arguments; `C`: what its handler gets beside them. */
export interface McpToolRules<A, C = unknown> extends ToolRules<A, C> {
  /** Tells what a result with `isError` means. Default: nobody knows, since it came after the start. */
  readonly onResult?: (result: McpResult) => "not_performed" | "unknown" | undefined;
  /**
   * Asks the person at the client, if the client can (`elicitation`), with the arguments that will
   * run; the policy is then `approval()`, if none is given.
   */
  readonly approveBy?: "elicitation";
  /** Who that person is, for the record. Default: `"mcp-user"`. */
  readonly approver?: (context: C) => string;
}

/** What a handler answers with, in either version. */
export interface McpResult {
  readonly content?: unknown;
  readonly structuredContent?: unknown;
  readonly isError?: unknown;
  readonly resultType?: unknown;
  readonly _meta?: unknown;
}

/** Members of a result's `_meta`. */
export const mcpMeta: {
  /** `true` where the result is the one of an earlier call. */
  readonly replayed: "dev.safeagent/replayed";
  /** Names the receipt of a replayed result: its settlement id. */
  readonly settlement: "dev.safeagent/settlement";
  /** What held a call, where there is no result: `{ held, effect, caseId }`. */
  readonly held: "dev.safeagent/held";
} = {
  replayed: "dev.safeagent/replayed",
  settlement: "dev.safeagent/settlement",
  held: "dev.safeagent/held",
};

/**
 * Guards a tool's handler: gives a handler of the same type that runs the first one at most once for
 * each key. The tool needs an `inputSchema`, an empty one if there is nothing to say.
 *
 * @param name the tool's name; the action in the record, if `rules.action` doesn't say otherwise
 * @throws GuardError `invalid_request` for wrong rules
 * @example
 * server.registerTool("refund", { inputSchema }, guardTool(guard, "refund", refund, {
 *   key: ({ orderId }) => `refund:${orderId}`,
 * }));
 */
export function guardTool<A, C, R extends object>(
  guard: Guard,
  name: string,
  handler: (args: A, context: C) => R | Promise<R>,
  rules: McpToolRules<A, C>,
): (args: A, context: C) => Promise<R> {
  refuseGuarded(name, handler);
  const { onResult, approveBy, approver, ...terms } = checkedRules(name, rules);
  const action = rules.action ?? name;
  const policy =
    approveBy === undefined || terms.policy !== undefined ? {} : { policy: approval() };

  const guarded = async (args: A, context: C): Promise<R> => {
    if (context === undefined) throw withoutArguments(name);
    const request = requestOf(context);
    const handled = handling(handler, context, onResult);
    const ask = () =>
      callThrough<A, R, C>(
        guard,
        { ...terms, ...policy },
        {
          action,
          input: args,
          context,
          within: effectWithin(context),
          callId: request.callId,
          scope: request.scope,
          signal: request.signal,
          run: handled.run,
          pauses: wantsUrl,
        },
      );

    const approverOf = () => {
      const wrong = (cause?: unknown) =>
        faultOf(rules, `\`approver\` of "${action}" gave no name.`, { cause });
      const name = approver === undefined ? "mcp-user" : ruleTextOf(() => approver(context), wrong);
      if (name === undefined) throw wrong();
      return name;
    };
    const first = await ask();
    if (approveBy === undefined || first.held?.held !== "pending") return handled.shown(first);
    const verdict = await decided(guard, request, rules, first.held, approverOf);
    switch (verdict.kind) {
      case "asks":
        return verdict.result as R;
      case "decided":
        return handled.shown(await ask());
      case "undecided":
        return handled.shown(first);
      case "refused":
        return heldResult(verdict.held) as R;
    }
  };
  markGuarded(guarded);
  return guarded;
}

interface Handling<A, R> {
  readonly run: (args: A, effect: EffectContext) => Promise<R>;
  readonly shown: (answer: ToolAnswer<R>) => R;
}

/** One call of a handler: what came of it, and what its caller is shown. */
function handling<A, C, R extends object>(
  handler: (args: A, context: C) => R | Promise<R>,
  context: C,
  onResult: McpToolRules<A, C>["onResult"],
): Handling<A, R> {
  /** A result that is no receipt: the handler asks for input, or says that it failed. */
  let unkept: { readonly result: R; readonly effect: "none" | "unknown" } | undefined;

  return {
    async run(args, effect) {
      const result = await handler(args, withEffect(context as object, effect) as C);
      const { resultType, isError } = (result ?? {}) as McpResult;
      if (resultType === "input_required") {
        unkept = { result, effect: "none" };
        throw new NotPerformed("it asks for input before its effect");
      }
      if (isError !== true) return result;
      const inner = heldIn(result);
      if (inner === "none") {
        unkept = { result, effect: "none" };
        throw new NotPerformed("a guarded tool within it was not executed");
      }
      const said = `the tool answered with isError: ${textOf(result)}`;
      if (wordOf(onResult, result) === "not_performed") {
        unkept = { result, effect: "none" };
        throw new NotPerformed(said);
      }
      unkept = { result, effect: "unknown" };
      throw new Error(said);
    },
    shown(answer) {
      if (answer.held === undefined) return resultOf(answer) as R;
      const { held } = answer;
      if (unkept?.effect === "none" && held.held === "not_performed") return unkept.result;
      const own = unkept?.effect === "unknown" ? contentOf(unkept.result) : [];
      return heldResult(held, own) as R;
    },
  };
}

/** What is known of the effect of a guarded tool, of whose refusal a handler made its result. */
function heldIn({ _meta }: McpResult): unknown {
  const held = (_meta as { readonly [mcpMeta.held]?: unknown } | undefined)?.[mcpMeta.held];
  return (held as { readonly effect?: unknown } | undefined)?.effect;
}

function wordOf(onResult: McpToolRules<never>["onResult"], result: McpResult) {
  try {
    return onResult?.(result);
  } catch {
    // A reader of results that fails itself has told nothing.
    return undefined;
  }
}

type Verdict =
  | { readonly kind: "asks"; readonly result: object }
  | { readonly kind: "decided" }
  | { readonly kind: "undecided" }
  | { readonly kind: "refused"; readonly held: HeldCall };

/** Asks the person at the client about a case that waits, and writes down what they say. */
async function decided(
  guard: Guard,
  request: McpRequest,
  rules: Faults,
  { caseId = "" }: HeldCall,
  approverOf: () => string,
): Promise<Verdict> {
  try {
    const kase = await guard.case(caseId).get();
    if (kase === undefined || kase.state === "RETIRED" || kase.intent === null) {
      return { kind: "undecided" };
    }
    // Before anybody is asked: an answer that nobody can be named for would be lost.
    const actor = approverOf();
    const { action, payload, fingerprint } = kase.intent;
    const reply = await request.elicit(questionOf(caseId, action, payload, fingerprint));
    if (reply.kind === "asks") return reply;
    if (reply.kind === "unanswered") return { kind: "undecided" };
    const word = { actor, fingerprint, note: "asked by MCP elicitation" };
    if (reply.action === "accept") await guard.approve(caseId, word);
    else await guard.deny(caseId, word);
    return { kind: "decided" };
  } catch (error) {
    // Decided by others meanwhile: the case says how.
    if (isGuardError(error, "held")) return { kind: "decided" };
    const { code, effect, forModel } = isGuardError(error) ? error : brokenStore(rules, error);
    return { kind: "refused", held: { held: code, effect, caseId, message: forModel } };
  }
}

/** Its name holds what it is about, so that an answer can't be used for other arguments. */
function questionOf(
  caseId: string,
  action: string,
  payload: unknown,
  fingerprint: string,
): Question {
  const shown = JSON.stringify(payload, null, 2).replace(unseen, escaped);
  return {
    name: `safeagent/approve/${fingerprint}/${caseId}`,
    message: `Do "${action}" once, with these arguments?\n${shown}`,
  };
}

/** Characters that a screen doesn't show, or that turn the text around them. */
const unseen = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

type Done = ToolAnswer<unknown> & { readonly held?: undefined };

/**
 * A receipt's value as a result. Another framework's tool may have settled the case, or a person
 * without a value; a tool with an output schema must then still have something valid to send.
 */
function resultOf({ value, replayed, receipt }: Done): McpResult {
  const { settlementId } = receipt;
  const meta = replayed ? { [mcpMeta.replayed]: true, [mcpMeta.settlement]: settlementId } : {};
  if (value === undefined) {
    const content = [line("This was done, once. Its result was not kept. Do not call it again.")];
    return { content, isError: true, _meta: meta };
  }
  if (isResult(value)) {
    return replayed ? { ...value, _meta: { ...(value._meta as object), ...meta } } : value;
  }
  const content = [line(typeof value === "string" ? value : JSON.stringify(value))];
  const structured = isObject(value) ? { structuredContent: value } : {};
  return { content, ...structured, _meta: meta };
}

/**
 * A refusal, as a result: a JSON-RPC error would reach a client as a broken call, to be made again.
 * `isError`, since the SDKs refuse any other result without the structured content of an output schema.
 */
function heldResult({ held, effect, caseId, message }: HeldCall, own: readonly unknown[] = []) {
  const content = [line(message), ...own];
  return { content, isError: true, _meta: { [mcpMeta.held]: { held, effect, caseId } } };
}

function line(text: string) {
  return { type: "text", text } as const;
}

function contentOf(result: McpResult): readonly unknown[] {
  return Array.isArray(result.content) ? result.content : [];
}

function textOf(result: McpResult): string {
  const parts = contentOf(result) as readonly { readonly text?: unknown }[];
  return parts.flatMap(({ text }) => (typeof text === "string" ? [text] : [])).join(" ");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isResult(value: unknown): value is McpResult {
  return isObject(value) && "content" in value && Array.isArray(value.content);
}

/** The SDK's error by which a handler sends the user to an address before anything is done. */
function wantsUrl(error: unknown): boolean {
  return isObject(error) && "code" in error && error.code === -32042;
}

function withoutArguments(name: string): GuardError {
  return new GuardError("invalid_request", `The tool "${name}" was called without arguments.`, {
    next: "A guarded tool needs an inputSchema: give it an empty one.",
  });
}
