import { type Case, type CaseSummary, summaryOf } from "../core/case.ts";
import type { Happening } from "../core/event.ts";
import type { CaseId } from "../core/identity.ts";
import { canonicalJson } from "../core/json.ts";
import { limits } from "../core/limits.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Policy } from "../core/policy.ts";
import { ppm, type Signal } from "../core/signal.ts";
import {
  admit,
  type Entrance,
  fingerprintOf,
  invalid,
  name,
  object,
  pointers,
  policyOf,
  text,
  unkeepable,
} from "./ask.ts";
import type { Call, TransactionalCall } from "./call.ts";
import type { Execute } from "./execute.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./platform.ts";
import { refused } from "./refused.ts";

/** How a case is opened. The same again is a repeat; another policy is a conflict. */
export interface CaseOptions<O extends string = string> {
  /** The outcomes that may be voted for. Default: any. */
  readonly outcomes?: readonly O[];
  /** When the case is final. Default: when a person decides. */
  readonly policy?: Policy;
  /** The outcomes that permit the action; final on another one ends the case. Default: any. */
  readonly allow?: readonly O[];
  /** What is to run, where it is known already. An approval needs it. */
  readonly action?: string;
  readonly payload?: unknown;
  /** JSON pointers of payload fields that don't count, as in `execute`. */
  readonly ignore?: readonly string[];
  /** Who opens it. Default: the guard's actor. */
  readonly actor?: string;
}

/** One source's vote, as it is given. */
export interface SignalInput<O extends string = string> {
  readonly source: string;
  readonly outcome: O;
  /** From 0 to 1, kept to the millionth. Default 1. */
  readonly confidence?: number;
  /** Names this message; the same id again changes nothing. Default: a new one. */
  readonly signalId?: string;
  /** When the source said it, in milliseconds since 1970: orders the votes of one source. Default: now. */
  readonly at?: number;
}

export interface SignalAnswer {
  /** `late`: it came after the decision, is kept as evidence, and changes nothing. */
  readonly status: "accepted" | "repeated" | "late";
  readonly case: CaseSummary;
}

/** A case by its id: votes on it, its decision, its one effect. */
export interface CaseHandle<O extends string = string> {
  readonly caseId: string;
  /** Gives one source's vote. */
  signal(signal: SignalInput<O>): Promise<SignalAnswer>;
  /** Ends a reconciliation by a person's word, for a declared outcome. Doesn't stand in for approvals. */
  decide(outcome: O, word: { readonly by: string; readonly reason: string }): Promise<CaseSummary>;
  /** Ends the case without effect, before it is executed. */
  withdraw(word: { readonly by: string; readonly reason: string }): Promise<CaseSummary>;
  /** Runs the effect if the case is final, once. Held, with the reason, if it isn't. */
  settle<P, T, Tx = unknown>(
    call:
      | Omit<Call<P, T>, "caseId" | "policy">
      | Omit<TransactionalCall<P, T, Tx>, "caseId" | "policy">,
  ): Promise<Outcome<T>>;
  /** The case as it stands; undefined where it was never opened. */
  get(): Promise<Case | undefined>;
}

export interface Approver {
  /** Who says so. The proposer can't. */
  readonly actor: string;
  readonly note?: string;
  /** What was approved, as it was shown. Default: what the case holds. Another one is a conflict. */
  readonly fingerprint?: string;
}

export interface DecideOptions {
  readonly ledger: Ledger;
  readonly platform: Platform;
  readonly execute: Execute;
  readonly entrance: Entrance;
}

export interface Deciding {
  caseHandle<O extends string>(caseId: string, options?: CaseOptions<O>): CaseHandle<O>;
  review(type: "approve" | "deny", caseId: string, approver: Approver): Promise<CaseSummary>;
}

export function createDeciding(options: DecideOptions): Deciding {
  const { ledger, platform, execute, entrance } = options;

  const applied = async (id: CaseId, by: string, happening: Applicable): Promise<Landed> => {
    const done = await ledger.apply({ caseId: id, by, happening });
    if (done.ok) return { case: done.stored.case, repeated: false };
    const { refusal, before } = done;
    if (refusal === "unchanged" && before.state !== "ABSENT")
      return { case: before, repeated: true };
    throw refused(refusal, before);
  };

  const caseHandle: Deciding["caseHandle"] = (caseId, given) => {
    const id = name("caseId", caseId) as CaseId;
    const opening = given === undefined ? undefined : openingOf(given, entrance, platform);
    let opened: Promise<unknown> | undefined;

    /** Opened by the first thing that is done with it; a handle without options takes the case as it is. */
    const ready = async () => {
      if (opening === undefined) return;
      opened ??= applied(id, opening.by, opening.happening);
      try {
        await opened;
      } catch (error) {
        opened = undefined;
        throw error;
      }
    };

    return {
      caseId: id,
      async signal(input) {
        object("The signal", input);
        const at = input.at ?? (await ledger.now());
        const signal = signalOf(input, at, platform);
        await ready();
        const landed = await applied(id, signal.source, { type: "signal", signal });
        const isLate =
          landed.case.state !== "RETIRED" &&
          landed.case.deliberation?.late.some((one) => one.signalId === signal.signalId) === true;
        const status = landed.repeated ? "repeated" : isLate ? "late" : "accepted";
        return { status, case: summaryOf(landed.case) };
      },
      async decide(outcome, word) {
        object("The word", word);
        const by = name("by", word.by);
        const reason = text("reason", word.reason);
        await ready();
        const happening = { type: "decide", outcome: name("outcome", outcome), reason } as const;
        return summaryOf((await applied(id, by, happening)).case);
      },
      async withdraw(word) {
        object("The word", word);
        const by = name("by", word.by);
        const note = text("reason", word.reason);
        await ready();
        return summaryOf((await applied(id, by, { type: "withdraw", note })).case);
      },
      async settle(call) {
        object("The call", call);
        const ask = admit({ ...call, caseId: id }, entrance, false);
        await ready();
        return (await execute(ask)) as Outcome<never>;
      },
      async get() {
        await ready();
        return (await ledger.read({ caseId: id, requestId: null })).stored?.case;
      },
    };
  };

  const review: Deciding["review"] = async (type, caseId, approver) => {
    const id = name("caseId", caseId) as CaseId;
    object("The approver", approver);
    const by = name("actor", approver.actor);
    const note = approver.note === undefined ? null : text("note", approver.note);
    const landed = await applied(id, by, (_, before) => ({
      type,
      note,
      fingerprint: approver.fingerprint ?? fingerprintHeld(before),
    }));
    return summaryOf(landed.case);
  };

  return { caseHandle, review };
}

type Applicable = Parameters<Ledger["apply"]>[0]["happening"];

interface Landed {
  readonly case: Case;
  readonly repeated: boolean;
}

function fingerprintHeld(before: Parameters<typeof summaryOf>[0]): string {
  if (before.state === "ABSENT" || before.state === "RETIRED") return "";
  return before.intent?.fingerprint ?? "";
}

function openingOf(
  given: CaseOptions,
  entrance: Entrance,
  platform: Platform,
): { by: string; happening: Happening } {
  const policy: Policy = given.policy === undefined ? { kind: "manual" } : policyOf(given.policy);
  const by = given.actor === undefined ? entrance.actor : name("actor", given.actor);
  const outcomes = given.outcomes === undefined ? null : namesOf("outcomes", given.outcomes);
  const allow = given.allow === undefined ? null : namesOf("allow", given.allow);
  if (outcomes !== null && allow?.some((one) => !outcomes.includes(one)) === true) {
    throw invalid("`allow` names an outcome that is not declared.");
  }
  return { by, happening: { type: "open", policy, outcomes, allow, intent: intentOf() } };

  function intentOf() {
    if (given.action === undefined) {
      if (given.payload === undefined) return null;
      throw invalid("A payload needs its action.");
    }
    const action = name("action", given.action);
    const canonical = canonicalJson(given.payload);
    if (!canonical.ok) throw unkeepable(canonical.path, canonical.problem, {});
    const { value: payload, text: payloadText } = canonical;
    const ignore = pointers(given.ignore ?? [], {});
    const content = { namespace: entrance.namespace, action, payload, payloadText, ignore };
    const fingerprint = fingerprintOf(content, platform);
    return { action, payload, fingerprint, proposer: by, queued: null };
  }
}

function namesOf(what: string, names: readonly string[]): readonly string[] {
  if (names.length === 0 || names.length > limits.outcomesPerCase) {
    throw invalid(`\`${what}\` must name 1 to ${limits.outcomesPerCase} outcomes.`);
  }
  if (new Set(names).size !== names.length) throw invalid(`\`${what}\` names an outcome twice.`);
  return names.map((one) => name(what, one));
}

function signalOf(input: SignalInput, at: number, platform: Platform): Signal {
  const confidence = input.confidence ?? 1;
  if (!(confidence >= 0 && confidence <= 1)) throw invalid("`confidence` must be from 0 to 1.");
  if (!Number.isSafeInteger(at)) throw invalid("`at` must be whole milliseconds since 1970.");
  return {
    signalId: input.signalId === undefined ? platform.newId() : name("signalId", input.signalId),
    source: name("source", input.source),
    outcome: name("outcome", input.outcome),
    confidencePpm: Math.round(confidence * ppm),
    at,
  };
}
