import { type Call, type EffectContext, type Guard, NotPerformed, type Outcome } from "../index.ts";
import { refusedReason } from "./corrections.ts";
import { type CallFrame, isMembers, type ResponseFrame, withArguments } from "./frame.ts";
import { canonical } from "./plain-json.ts";
import { readAnswer } from "./results.ts";
import { NotSent, type Upstream, UpstreamLost } from "./upstream.ts";

/** Makes calls through the guard: what is sent on under a claim, and how its answer ends the claim. */
export interface Claims {
  /** Makes the call, or joins the one under way. */
  call(asked: Asked): Promise<Came>;
  /**
   * Hands the client's answers to the call that waits for them, if one does: they continue an open
   * claim, and are no call of their own.
   */
  resume(frame: CallFrame, upstream: Upstream, same: Same): Promise<Came> | undefined;
  /** No answers come any more: what waits for them is in doubt, instead of keeping the guard open. */
  end(): void;
}

/** What two calls have in common that ask for one effect, with the same arguments, by the same caller. */
export interface Same {
  readonly caseId: string;
  /** Of the arguments that count. */
  readonly digest: string;
  readonly principal: string | undefined;
}

export interface Asked extends Same {
  readonly frame: CallFrame;
  readonly upstream: Upstream;
  /** What an error of the tool is taken for. */
  readonly onError: "unknown" | "not_performed";
  readonly isUnlisted: boolean;
  /** The payload is the arguments, and some of them don't count. */
  readonly mayDiffer: boolean;
  readonly terms: Terms;
}

/** The rest of the guard's call. */
export type Terms = Pick<
  Call<unknown, unknown>,
  "action" | "payload" | "ignore" | "policy" | "timeoutMs" | "waitMs" | "actor" | "requestId"
> & { readonly effect: "opaque" | "idempotent" };

/** What came of a call. */
export type Came =
  /** The server wants more before it goes on; the claim stays open. */
  | { readonly wants: ResponseFrame }
  | {
      readonly wants?: undefined;
      readonly outcome: Outcome<unknown>;
      /** The server's last word, where it came to this call or to one that was under way with it. */
      readonly said: ResponseFrame | undefined;
      /** It came to this very call. */
      readonly isOwn: boolean;
    };

/** Calls of one case that are under way at the same time, in this process. */
interface Flight {
  calls: number;
  /** The server's last word to any of them. */
  said: ResponseFrame | undefined;
  isComplete: boolean;
}

/** One message of the exchange that a call is: sent on, and answered. */
interface Turn {
  readonly frame: CallFrame;
  readonly upstream: Upstream;
  readonly wants: PromiseWithResolvers<Came>;
}

/** A claim whose server waits for the client's answers. */
interface Open extends Same {
  readonly requestState: string | undefined;
  readonly wants: ResponseFrame;
  readonly take: (turn: Turn) => void;
  readonly giveUp: () => void;
  /** What will have come of it. */
  readonly end: Promise<Came>;
}

export function createClaims(guard: Guard): Claims {
  /** By case. */
  const waiting = new Map<string, Open>();
  const flights = new Map<string, Flight>();
  let ended = false;

  const boarded = (caseId: string): Flight => {
    const flight = flights.get(caseId) ?? { calls: 0, said: undefined, isComplete: false };
    flight.calls += 1;
    flights.set(caseId, flight);
    return flight;
  };

  const left = (caseId: string, flight: Flight) => {
    flight.calls -= 1;
    if (flight.calls === 0) flights.delete(caseId);
  };

  const call: Claims["call"] = (asked) => {
    const { caseId, digest, principal, onError, isUnlisted, terms } = asked;
    const tool = asked.frame.params.name;
    const first = turnOf(asked.frame, asked.upstream);
    const flight = boarded(caseId);
    let said: ResponseFrame | undefined;

    const run = async (payload: unknown, { signal }: EffectContext): Promise<unknown> => {
      let turn = first;
      for (;;) {
        const isFirst = turn === first;
        const response = await send(asked.mayDiffer ? asHeld(turn, payload) : turn, isFirst);
        const reading = readAnswer(response, { tool, isUnlisted, isFirst });
        if (reading.kind !== "input_required") {
          said = response;
          flight.said = response;
          flight.isComplete = reading.kind === "complete";
        }
        switch (reading.kind) {
          case "complete":
            return reading.value;
          case "refused":
            throw new NotPerformed(refusedReason);
          case "failed":
            if (onError === "not_performed") throw new NotPerformed(reading.why);
            throw new Error(reading.why);
          case "input_required": {
            const next = Promise.withResolvers<Turn>();
            const { requestState } = reading;
            const same = { caseId, digest, principal };
            const giveUp = () => next.reject(unanswered());
            const open = {
              ...same,
              requestState,
              wants: response,
              take: next.resolve,
              giveUp,
              end,
            };
            waiting.set(caseId, open);
            turn.wants.resolve({ wants: response });
            if (ended) giveUp();
            try {
              turn = await untilAborted(next.promise, signal);
            } finally {
              if (waiting.get(caseId) === open) waiting.delete(caseId);
            }
          }
        }
      }
    };

    const made = guard.execute<unknown, unknown>({ ...terms, caseId, run });
    const end = made
      .then((outcome): Came => {
        const isOthers = outcome.status === "settled" && !flight.isComplete;
        return {
          outcome,
          said: said ?? (isOthers ? undefined : flight.said),
          isOwn: said !== undefined,
        };
      })
      .finally(() => left(caseId, flight));
    // Nobody may be listening where the server wanted more and its client has gone.
    end.catch(() => undefined);
    return Promise.race([first.wants.promise, end]);
  };

  const resume: Claims["resume"] = (frame, upstream, { caseId, digest, principal }) => {
    const open = waiting.get(caseId);
    if (open === undefined || open.digest !== digest || open.principal !== principal) {
      return undefined;
    }
    const { requestState, inputResponses } = frame.params;
    // The same call again, without an answer: the question did not reach its client.
    if (requestState === undefined && inputResponses === undefined) {
      return Promise.resolve({ wants: open.wants });
    }
    if (requestState !== open.requestState) return undefined;
    waiting.delete(caseId);
    const turn = turnOf(frame, upstream);
    open.take(turn);
    return Promise.race([turn.wants.promise, open.end]);
  };

  return {
    call,
    resume,
    end() {
      ended = true;
      for (const { giveUp } of waiting.values()) giveUp();
    },
  };
}

function turnOf(frame: CallFrame, upstream: Upstream): Turn {
  return { frame, upstream, wants: Promise.withResolvers<Came>() };
}

/**
 * What runs is what the case holds, and was perhaps approved: where an argument that doesn't count was
 * worded otherwise this time, or has a new idempotency key in it, the first wording goes on.
 */
function asHeld(turn: Turn, payload: unknown): Turn {
  const { frame } = turn;
  if (!isMembers(payload)) return turn;
  if (canonical(payload).text === canonical(frame.params.arguments).text) return turn;
  return { ...turn, frame: withArguments(frame, payload) };
}

async function send({ frame, upstream }: Turn, isFirst: boolean): Promise<ResponseFrame> {
  try {
    return await upstream.call(frame);
  } catch (error) {
    // Of an answer that was not sent on, the server may well have begun with what it asked about.
    if (error instanceof NotSent && isFirst) {
      throw new NotPerformed(`the server never got it: ${error.message}`);
    }
    // Its cause stays here: that a connection was refused after the call was sent says nothing of it.
    const why = error instanceof UpstreamLost ? error.message : "its connection failed";
    throw new UpstreamLost(why);
  }
}

function unanswered(): Error {
  return new Error("the answers that the server wanted did not come");
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(unanswered());
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
