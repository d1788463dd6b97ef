import { type GuardError, type HeldOutcome, isGuardError, type SettledOutcome } from "../index.ts";
import {
  type FrameId,
  isMembers,
  type Members,
  type ResponseFrame,
  responseFrame,
} from "./frame.ts";
import { keptOf, textOfKept, withExactNumbers } from "./kept-result.ts";
import { type AnsweredCall, wasRefused } from "./refusals.ts";

/** How the guard's own answers look, and what a server's answer says of the effect. */
export type Reading =
  /** It happened; this is the receipt's value. */
  | { readonly kind: "complete"; readonly value: Members }
  /** Not the end: the client is to send the call again with more. */
  | { readonly kind: "input_required"; readonly requestState: string | undefined }
  /** It certainly never came to the tool. */
  | { readonly kind: "refused" }
  /** It ended with an error: nobody knows what it did before. */
  | { readonly kind: "failed"; readonly why: string };

/**
 * Only a complete result becomes a receipt. A task's handle is one: what was asked for is that the
 * task be started, and it was. A repeat gets the same handle and finds at the server what came of it.
 */
export function readAnswer(response: ResponseFrame, call: AnsweredCall): Reading {
  const { answer } = response;
  if (wasRefused(answer, call)) return { kind: "refused" };
  if ("error" in answer) {
    const code = isMembers(answer.error) ? answer.error.code : undefined;
    const why = `the server answered with error ${typeof code === "number" ? code : "unknown"}`;
    return { kind: "failed", why };
  }
  const { result } = answer;
  if (!isMembers(result)) return { kind: "failed", why: "the server's result is not an object" };
  const { resultType = "complete", isError = false, requestState } = result;
  if (resultType === "input_required") {
    return {
      kind: "input_required",
      requestState: typeof requestState === "string" ? requestState : undefined,
    };
  }
  if (resultType !== "complete" && resultType !== "task") {
    return { kind: "failed", why: "the server's result is of a kind that nobody knows" };
  }
  if (isError !== false)
    return { kind: "failed", why: "the tool answered with an error (isError)" };
  return { kind: "complete", value: keptOf(response, result) };
}

/** What the guard adds to a result's `_meta`: the same names as the adapter for MCP servers uses. */
export const marks = {
  /** True: the result is an earlier call's, and nothing ran for this one. */
  replayed: "dev.safeagent/replayed",
  /** Names the settlement whose result this is. */
  settlement: "dev.safeagent/settlement",
  /** What held the call, where there is no result: `{ held, effect, caseId }`. */
  held: "dev.safeagent/held",
  /** The command with which a person approves it. Not in the text: a model with a shell would run it. */
  approve: "dev.safeagent/approve",
} as const;

/** How an answer must look for who reads it. */
export interface Reader {
  readonly id: FrameId;
  readonly protocolVersion: string | undefined;
}

/** 2026-07-28 brought results that say of themselves whether they are the last word. */
export function isModern(protocolVersion: string | undefined): boolean {
  return protocolVersion !== undefined && protocolVersion >= "2026-07-28";
}

/** A result of our own making. */
export function ownResult(reader: Reader, result: Members): ResponseFrame {
  const { resultType = "complete", ...rest } = result;
  const kind = isModern(reader.protocolVersion) || resultType !== "complete" ? { resultType } : {};
  return responseFrame(reader.id, { result: { ...kind, ...rest } });
}

/**
 * The first call's result for another one: `content` and `structuredContent` as they were, since a
 * tool's output may have a schema.
 *
 * @param live the server's answer, where this process still has it: it stands for a result too large to keep
 */
export function replayOf(
  reader: Reader,
  { receipt }: SettledOutcome<unknown>,
  live: ResponseFrame | undefined,
): ResponseFrame {
  const { settlementId } = receipt;
  const value = receipt.value === undefined ? resultIn(live) : exactly(receipt.value);
  const added = { [marks.replayed]: true, [marks.settlement]: settlementId };
  if (value === undefined) {
    // A person said that it happened, or the result was too large to keep. An error to a program, so
    // that it isn't held against the tool's output schema; to a model, the end of it.
    const text = "This was done, once. Its result was not kept. Do not call it again.";
    return ownResult(reader, { content: [textBlock(text)], isError: true, _meta: added });
  }
  if (isMembers(value) && (Array.isArray(value.content) || isTask(value))) {
    const before = isMembers(value._meta) ? value._meta : {};
    return ownResult(reader, { ...value, _meta: { ...before, ...added } });
  }
  // Another framework's, or a person's word.
  const content = [textBlock(typeof value === "string" ? value : JSON.stringify(value))];
  const structured = isMembers(value) ? { structuredContent: value } : {};
  return ownResult(reader, { content, ...structured, _meta: added });
}

function resultIn(live: ResponseFrame | undefined): unknown {
  if (live === undefined || "error" in live.answer) return undefined;
  const { result } = live.answer;
  return isMembers(result) ? exactly(keptOf(live, result)) : undefined;
}

/** As the server wrote it, where its numbers are no numbers of JavaScript. */
function exactly(value: unknown): unknown {
  const text = textOfKept(value);
  return text === undefined ? value : withExactNumbers(text);
}

function isTask(value: Members): boolean {
  return value.resultType === "task" || isMembers(value.task);
}

/** A call that was held, as a value: what is thrown reaches a model as a failure to be tried again. */
export function heldReply(
  reader: Reader,
  held: HeldOutcome | GuardError,
  more: { readonly text?: string; readonly _meta?: Members } = {},
): ResponseFrame {
  const { text, _meta } = more;
  return ownResult(reader, {
    content: [textBlock(text === undefined ? held.forModel : `${held.forModel} ${text}`)],
    isError: true,
    _meta: { ...marksOf(held), ..._meta },
  });
}

/** What the server said of its failure, and what that means. */
export function failedReply(
  reader: Reader,
  { answer }: ResponseFrame,
  held: HeldOutcome,
): ResponseFrame {
  if ("error" in answer) {
    const error = isMembers(answer.error) ? answer.error : { code: -32603 };
    const said = typeof error.message === "string" ? `${error.message} ` : "";
    return responseFrame(reader.id, { error: { ...error, message: `${said}${held.forModel}` } });
  }
  const result = isMembers(answer.result) ? answer.result : {};
  const content = Array.isArray(result.content) ? result.content : [];
  const before = isMembers(result._meta) ? result._meta : {};
  return ownResult(reader, {
    ...result,
    resultType: "complete",
    content: [...content, textBlock(held.forModel)],
    isError: true,
    _meta: { ...before, ...marksOf(held) },
  });
}

/** A defect, ours or a store's: nothing is known, and nothing went on. */
export function brokenReply(reader: Reader): ResponseFrame {
  const text =
    "Not known whether this ran: the guard before this tool failed. Do not call it again; say that it is not known.";
  return ownResult(reader, { content: [textBlock(text)], isError: true });
}

/** What held a call, as its answer says. */
export function heldIn({ answer }: ResponseFrame): unknown {
  const { _meta } = "result" in answer && isMembers(answer.result) ? answer.result : {};
  const held = isMembers(_meta) ? _meta[marks.held] : undefined;
  return isMembers(held) ? held.held : undefined;
}

function marksOf(told: HeldOutcome | GuardError): Members {
  const [held, caseId] = isGuardError(told)
    ? [told.code, told.caseId]
    : [told.status, told.case.caseId];
  return { [marks.held]: { held, effect: told.effect, caseId } };
}

function textBlock(text: string): Members {
  return { type: "text", text };
}
