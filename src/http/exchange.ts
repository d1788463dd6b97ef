import {
  type EffectContext,
  type Finding,
  isGuardError,
  NotPerformed,
  type Outcome,
} from "../index.ts";
import { type Body, type BodyFault, comparedType, sha256 } from "./body.ts";
import { hand, isNotPerformed, notPerformedHeader, notPerformedToken } from "./effect.ts";
import { keyOf } from "./idempotency-key.ts";
import { type Answer, answerOf, keep, replayOf } from "./kept.ts";
import { guardingOf, type Marks, whileGuarded, within } from "./nested.ts";
import { problem, problemOf } from "./problem.ts";
import type { RequestPayload, Settings } from "./settings.ts";

/** A request, as far as every framework can tell it. */
export interface Asked extends Marks {
  readonly method: string;
  /** Absolute; its host doesn't count. */
  readonly url: string;
  readonly contentType: string | null;
  /** The `Idempotency-Key` fields, one for each time it came. */
  readonly keyFields: readonly string[];
  readonly body: () => Promise<Body | BodyFault>;
}

/** What a handler did, as a binding has seen it. */
export interface Handled {
  readonly answer: Answer;
  /** What the handler threw, where its framework made the answer of that. */
  readonly error?: unknown;
}

/**
 * The response to send; `own`: the one that the handler has just given; `through`: another guard has
 * this request already, so the handler is to be called.
 */
export type Reply = Response | "own" | "through";

/** What is to be done with a request. */
export type Admission = Response | "unguarded" | { readonly key: string };

const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** A look at the method and the key, before anything is read. */
export function admit(settings: { readonly required: boolean }, asked: Asked): Admission {
  if (safeMethods.has(asked.method)) return "unguarded";
  const [field, ...more] = asked.keyFields;
  if (field === undefined) return settings.required ? problem("key_missing") : "unguarded";
  const key = more.length === 0 ? keyOf(field) : undefined;
  return key === undefined ? problem("key_malformed") : { key };
}

/**
 * One guarded request: refused, replayed, or handled once by `handle`. Throws only what isn't the
 * guard's: an error of the caller's `principal`.
 */
export async function exchange<R>(
  settings: Settings<R>,
  request: R,
  asked: Asked & { readonly key: string },
  handle: (effect: EffectContext) => Promise<Handled>,
): Promise<Reply> {
  const outer = guardingOf(settings, asked);
  if (outer !== undefined) return within(settings, request, outer);
  const principal = await settings.principal?.(request);
  if (settings.principal !== null && (typeof principal !== "string" || principal === "")) {
    return problem("unauthorized");
  }
  const body = await asked.body();
  if (typeof body === "string") return problem(body);
  const { method, key } = asked;
  const { pathname: path, search: query } = new URL(asked.url);
  const contentType = body === null ? null : comparedType(asked.contentType);
  const payload: RequestPayload = { method, path, query, contentType, body };
  // Hashed: of any length, and nobody who reads a listing gets a key to use.
  const scope = JSON.stringify([principal ?? null, method, path, key]);
  const caseId = `http:${await sha256(new TextEncoder().encode(scope))}`;

  const seen: Seen = { started: false, kept: false, freed: false, streams: false };
  try {
    const outcome = await settings.guard.execute<RequestPayload, unknown>({
      ...settings.terms,
      requestId: caseId,
      caseId,
      action: settings.action,
      payload,
      waitMs: settings.waitMs,
      ...(settings.ignore.length === 0 ? {} : { ignore: settings.ignore }),
      ...(principal === undefined ? {} : { actor: principal }),
      ...(settings.probe === undefined ? {} : { probe: probeOf(settings, settings.probe) }),
      // A handler does more than one thing: that its last connection was refused says nothing of the rest.
      onError: () => "unknown",
      async run(_, effect) {
        seen.started = true;
        hand(asked.raw, effect);
        const guarding = { settings, principal: principal ?? null };
        const handled = await whileGuarded(asked, guarding, () => handle(effect));
        return received(settings, seen, handled);
      },
    });
    return replyTo(outcome, seen);
  } catch (error) {
    // A store of the caller's own may throw anything, also after the handler ran.
    return seen.started && !isGuardError(error)
      ? problem("in_doubt", { caseId })
      : problemOf(error);
  }
}

/** What this very request has seen of its handler. */
interface Seen {
  started: boolean;
  /** The handler's answer is what the receipt keeps. */
  kept: boolean;
  /** It says that nothing happened, and can be sent as it is. */
  freed: boolean;
  streams: boolean;
}

/** What the receipt keeps; throws where there is none to write. */
function received<R>(settings: Settings<R>, seen: Seen, handled: Handled): unknown {
  const { answer, error } = handled;
  if (isNotPerformed(error)) throw error;
  const { status } = answer;
  const says = answer.headers.get(notPerformedHeader) === notPerformedToken;
  const meaning = says ? "not_performed" : settings.means(status);
  if (meaning === "not_performed") {
    seen.freed = typeof answer.body !== "string";
    throw new NotPerformed(`the handler answered ${status}, and that nothing happened`);
  }
  if (meaning === "unknown") throw new Error(`the handler answered ${status}`);
  if (answer.body === "streaming") {
    seen.streams = true;
    throw new Error("the handler answered with a stream");
  }
  seen.kept = true;
  return keep(answer, settings.keepHeaders);
}

function replyTo(outcome: Outcome<unknown>, { kept, freed, streams }: Seen): Reply {
  if (outcome.status === "settled") {
    const { value, caseId } = outcome.receipt;
    const replay = replayOf(value);
    if (replay === undefined) return problem("response_not_kept", { caseId });
    return kept && !outcome.replayed ? "own" : replay;
  }
  const { status, forModel, case: kase } = outcome;
  if (status === "not_performed" && freed) return "own";
  const code = status === "in_doubt" && streams ? "response_streaming" : status;
  return problem(code, { forModel, caseId: kase.caseId });
}

function probeOf<R>(settings: Settings<R>, probe: NonNullable<Settings<R>["probe"]>) {
  return async (...question: Parameters<typeof probe>): Promise<Finding<unknown>> => {
    const found = await probe(...question);
    if (typeof found === "string" || found.value === undefined) return found;
    return { happened: true, value: keep(await answerOf(found.value), settings.keepHeaders) };
  };
}
