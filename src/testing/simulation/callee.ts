import { type EffectContext, NotPerformed, type Run, type WrapRules } from "../../index.ts";
import type { Chance } from "../chance.ts";
import { type Attempt, contentOf } from "./book.ts";
import { secret } from "./check-answers.ts";
import type { Life } from "./life.ts";
import { type ActionName, spans } from "./setting.ts";
import { strikes, type World } from "./world.ts";

/** What an effect asks for. */
export interface Wish {
  readonly caseId: string;
  readonly variant: string;
  readonly secret: string;
  /** Free text that a model words otherwise each time; it doesn't count. */
  readonly note: string;
}

/** The world outside: does what effects ask for, sometimes late, and answers or not, as their class permits. */
export interface Callee {
  /** The rules of an action, for a guard that lives in this life. */
  rules(action: ActionName, life: Life): WrapRules<Wish, Done>;
  /** From now on nothing that these claims asked for happens any more; what they did, they did. */
  refuse(caseId: string, fence: number): void;
  /** What it did for a case; undefined: nothing. */
  done(caseId: string): Done | undefined;
}

export interface Done {
  readonly by: string;
  readonly variant: string;
  readonly secret: string;
}

const manners = [
  "throws after it happened",
  "throws before it happened",
  "never answers",
  "never answers, and does nothing",
  "happens after its error",
  "answers after its time",
  "says that it did not happen",
  "says that it never will",
  "tells by its error that it did not happen",
  "never left the machine",
  "ends when told that its claim is lost",
] as const;

export function createCallee(world: World): Callee {
  const { agenda, witness, trace, faults, setting, weather } = world;
  const doneFor = new Map<string, Done>();
  const keys = new Map<string, { readonly done: Done; readonly at: number }>();

  /** In a fair world time passes by setting the clock on. */
  const now = () => agenda.now() + (weather.isFair ? (weather.clockOff[0] ?? 0) : 0);
  const done: Callee["done"] = (caseId) => doneFor.get(caseId);
  const refuse: Callee["refuse"] = (caseId, fence) => {
    const book = witness.book(caseId);
    book.refusedUpTo = Math.max(book.refusedUpTo, fence);
  };

  /** A request arrives. Null: it is refused, since it was said that it won't happen. */
  const arrive = (attempt: Attempt, wish: Wish): Done | null => {
    const { caseId, fence, key, name } = attempt;
    const book = witness.book(caseId);
    if (fence <= book.refusedUpTo) {
      trace.note(`callee refuses ${name}`);
      return null;
    }
    const isKeyed = book.setting.action.startsWith("keyed");
    const known = isKeyed ? keys.get(key) : undefined;
    const isForgotten =
      !setting.clocksLie && now() - (known?.at ?? 0) > spans.keyTtl + spans.keyMargin;
    if (known !== undefined && !isForgotten) {
      trace.note(`callee repeats ${caseId} for ${name}`);
      return known.done;
    }
    const made: Done = { by: name, variant: wish.variant, secret: `${secret} value of ${name}` };
    trace.note(`callee does ${name}`);
    if (isKeyed) keys.set(key, { done: made, at: now() });
    doneFor.set(caseId, doneFor.get(caseId) ?? made);
    witness.happened(attempt);
    return made;
  };

  const run =
    (life: Life): Run<Wish, Done> =>
    (wish, ctx) => {
      const attempt = attemptOf(world, life, wish, ctx);
      const chance = world.chance.fork(`effect ${attempt.name}`);
      trace.note(`${life.name} starts ${attempt.name} for ${attempt.requestId}`);
      witness.started(attempt);
      return perform(life, attempt, wish, ctx, chance);
    };

  function perform(
    life: Life,
    attempt: Attempt,
    wish: Wish,
    ctx: EffectContext,
    chance: Chance,
  ): Promise<Done> {
    const manner = strikes(world, setting.rates.effectFails, chance)
      ? chance.pick(manners)
      : "is well";
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    /** Told to the guard, where there still is one. */
    const tell = (ms: number, told: Attempt["told"], call: () => void) => {
      life.after(ms, () => {
        if (attempt.told !== "nothing") return;
        attempt.told = told;
        trace.note(`${attempt.name} ${told}`);
        call();
      });
    };
    const fail = (ms: number, error: Error) => tell(ms, "unknown", () => reject(error));
    const refuseItself = (ms: number, error: Error) =>
      tell(ms, "not performed", () => reject(error));
    /** The request leaves when the process comes to it, and then arrives, whatever becomes of the process. */
    const send = (travelMs: number, then: (answer: Done | null) => void) => {
      life.after(chance.between(0, 2), () => {
        agenda.after(travelMs, () => then(arrive(attempt, wish)));
      });
    };
    const answer = (made: Done | null, ms: number) => {
      if (made === null) refuseItself(ms, new NotPerformed("refused: that was given up"));
      else tell(ms, "returned", () => resolve(made));
    };
    const soon = chance.between(1, 30);

    switch (manner) {
      case "is well":
        send(soon, (made) => answer(made, soon));
        break;
      case "throws after it happened":
        faults.fired("effect: throws after it happened");
        send(soon, () => fail(soon, new Error("socket hang up")));
        break;
      case "throws before it happened":
        faults.fired("effect: throws before it happened");
        fail(soon, new Error("connection reset"));
        break;
      case "never answers":
        faults.fired("effect: never answers");
        send(soon, () => {});
        break;
      case "never answers, and does nothing":
        faults.fired("effect: never answers");
        break;
      case "happens after its error":
        faults.fired("effect: happens after its error");
        fail(1, new Error("timeout at the gateway"));
        send(chance.between(2, spans.settling - 10), () => {});
        break;
      case "answers after its time":
        faults.fired("effect: answers after its time");
        send(soon, (made) => answer(made, chance.between(spans.timeout, 3 * spans.timeout)));
        break;
      case "says that it did not happen":
        faults.fired("effect: says that it did not happen");
        refuseItself(soon, new NotPerformed("the account is locked"));
        break;
      case "says that it never will":
        faults.fired("effect: says that it did not happen");
        refuseItself(soon, new NotPerformed("the card was declined", { final: true }));
        break;
      case "tells by its error that it did not happen":
        faults.fired("effect: says that it did not happen");
        refuseItself(soon, new Error(declined));
        break;
      case "never left the machine":
        faults.fired("effect: never left the machine");
        refuseItself(soon, Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
        break;
      case "ends when told that its claim is lost":
        ctx.signal.addEventListener("abort", () => {
          faults.fired("effect: ends when told that its claim is lost");
          fail(0, new Error("aborted"));
        });
        send(chance.between(spans.lease, 4 * spans.lease), (made) => answer(made, soon));
        break;
    }
    return promise;
  }

  const probe = async (
    life: Life,
    wish: Wish,
  ): Promise<"absent" | "unknown" | { happened: true; value: Done }> => {
    const { caseId } = wish;
    const chance = world.chance.fork(`probe ${caseId} ${agenda.now()} ${life.name}`);
    const book = witness.book(caseId);
    await new Promise<void>((resolve) => life.after(chance.between(1, 20), resolve));
    if (strikes(world, setting.rates.probeFails, chance)) {
      switch (chance.pick(["unknown", "fails", "silent"])) {
        case "unknown":
          faults.fired("probe: finds nothing out");
          return "unknown";
        case "fails":
          faults.fired("probe: fails");
          throw new Error("the provider does not answer");
        default:
          faults.fired("probe: never answers");
          return new Promise(() => {});
      }
    }
    const made = done(caseId);
    trace.note(`${life.name} probes ${caseId}: ${made === undefined ? "absent" : "happened"}`);
    if (made !== undefined) return { happened: true, value: made };
    // Whoever says "absent" must see to it that it won't happen later.
    const fence = Math.max(0, ...book.claims);
    refuse(caseId, fence);
    book.words.probeSaidAbsent = fence;
    return "absent";
  };

  return {
    done,
    refuse,
    rules: (action, life) => ({
      key: (wish) => wish.caseId,
      run: run(life),
      ignore: ["/note"],
      timeoutMs: spans.timeout,
      onError: (error) =>
        error instanceof Error && error.message === declined ? "not_performed" : undefined,
      ...termsOf(action, (wish) => probe(life, wish)),
    }),
  };
}

const declined = "the provider declined";

function termsOf(
  action: ActionName,
  probe: NonNullable<WrapRules<Wish, Done>["probe"]>,
): Pick<WrapRules<Wish, Done>, "effect" | "probe" | "keyTtlMs" | "settlingMs"> {
  const key = { effect: "keyed", keyTtlMs: spans.keyTtl } as const;
  switch (action) {
    case "opaque":
      return {};
    case "idempotent":
      return { effect: "idempotent" };
    case "probeable":
      return { probe, settlingMs: spans.settling };
    case "keyed":
      return key;
    case "keyed and probed":
      return { ...key, probe, settlingMs: spans.settling };
  }
}

function attemptOf(world: World, life: Life, wish: Wish, ctx: EffectContext): Attempt {
  const { caseId, requestId, fence, idempotencyKey: key } = ctx;
  const count = world.witness.book(caseId).attempts.length + 1;
  return {
    name: `${caseId}#${count}`,
    caseId,
    requestId,
    life: life.name,
    fence,
    key,
    payload: contentOf(wish),
    startedAt: world.agenda.now(),
    caller: null,
    happened: false,
    told: "nothing",
    cleared: false,
  };
}
