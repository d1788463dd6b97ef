import { createHmac, timingSafeEqual } from "node:crypto";
import type { Policy } from "../index.ts";
import { type CallFrame, isMembers, type Members, type ResponseFrame } from "./frame.ts";
import { ownResult, type Reader } from "./results.ts";
import { shownArguments, visible } from "./shown.ts";
import type { ElicitAnswer } from "./upstream.ts";

/** Asks the person at the client whether a call may go on. */

/** What is asked about: a case, and exactly what it holds. */
export interface Subject {
  readonly caseId: string;
  readonly fingerprint: string;
  readonly principal: string | undefined;
  readonly server: string;
  readonly tool: string;
  /** Shown to the person. */
  readonly arguments: unknown;
}

/**
 * The parameters of an elicitation by form, as every revision since 2025-06-18 reads them. Undefined
 * where a form can't show what it asks about.
 */
export function question({ server, tool, arguments: args }: Subject): Members | undefined {
  const text = shownArguments(args);
  if (text === undefined) return undefined;
  return {
    message: `May ${name(tool)} of ${name(server)} run once, with exactly these arguments?\n${text}`,
    requestedSchema: {
      type: "object",
      // Not a bare "accept": a client that accepts forms by itself would approve what nobody read.
      properties: {
        approve: {
          type: "boolean",
          title: "Approve",
          description: "Yes: it runs once. No: never.",
        },
      },
      required: ["approve"],
    },
  };
}

function name(text: string): string {
  return visible(JSON.stringify(text));
}

/** What an answer says; undefined where the person has not decided. */
export function wordIn({ action, content }: ElicitAnswer): "approve" | "deny" | undefined {
  switch (action) {
    case "accept": {
      const approve = isMembers(content) ? content.approve : undefined;
      return approve === true ? "approve" : approve === false ? "deny" : undefined;
    }
    case "decline":
      return "deny";
    case "cancel":
      return undefined;
  }
}

/** Whether an approval by this person counts for a policy. */
export function listensToApprover(policy: Policy, approver: string): boolean {
  switch (policy.kind) {
    case "approval":
      return policy.from === null || policy.from.includes(approver);
    case "all":
    case "any":
      return policy.of.some((part) => listensToApprover(part, approver));
    case "immediate":
    case "manual":
    case "threshold":
    case "majority":
    case "unanimous":
      return false;
  }
}

/** 2026-07-28: the question is a result, and the answer comes with the same call again. */
export interface Questions {
  ask(reader: Reader, subject: Subject, params: Members): ResponseFrame;
  /** Whether a call brings an answer to one of our questions, whosever: its server didn't ask it. */
  isOurs(frame: CallFrame): boolean;
  /** The answer to the question about this subject; undefined where it is another's, or forged. */
  answerIn(frame: CallFrame, subject: Subject): ElicitAnswer | undefined;
}

const field = "safeagent_approval";
const prefix = "safeagent.";

/** @param key signs what the client carries: whoever has it can approve. */
export function createQuestions(key: Uint8Array): Questions {
  const sign = ({ caseId, fingerprint, principal }: Subject): string => {
    const text = JSON.stringify([caseId, fingerprint, principal ?? null]);
    return `${prefix}${createHmac("sha256", key).update(text).digest("base64url")}`;
  };

  return {
    ask: (reader, subject, params) =>
      ownResult(reader, {
        resultType: "input_required",
        inputRequests: {
          [field]: { method: "elicitation/create", params: { mode: "form", ...params } },
        },
        requestState: sign(subject),
      }),
    isOurs: ({ params }) => params.requestState?.startsWith(prefix) === true,
    answerIn({ params }, subject) {
      if (!isSame(params.requestState ?? "", sign(subject))) return undefined;
      const answer = params.inputResponses?.[field];
      if (!isMembers(answer)) return undefined;
      const { action, content } = answer;
      if (action !== "accept" && action !== "decline" && action !== "cancel") return undefined;
      return { action, content };
    },
  };
}

function isSame(given: string, right: string): boolean {
  const [left, other] = [Buffer.from(given), Buffer.from(right)];
  return left.length === other.length && timingSafeEqual(left, other);
}
