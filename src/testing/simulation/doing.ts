import type { Outcome } from "../../index.ts";
import { contentOf } from "./book.ts";
import type { CallSeen } from "./call-seen.ts";
import type { Callee, Wish } from "./callee.ts";
import { secret } from "./check-answers.ts";
import type { Act } from "./plan.ts";
import type { Process, Running } from "./process.ts";
import { allowed, type CaseSetting, outcomes, policyOf, proposer } from "./setting.ts";
import { epoch, type World } from "./world.ts";

/** Does the acts of a plan, and hands what comes of them to the witness. */
export interface Doing {
  do(act: Act): void;
  /** What living processes do and have no answer to yet. */
  open(): number;
  /** Calls that were answered `settled`. */
  settled(): number;
}

type Of<Name extends Act["do"]> = Act & { readonly do: Name };

export function createDoing(world: World, callee: Callee, processes: readonly Process[]): Doing {
  const { witness, trace, faults, weather, agenda } = world;
  const calls = new Map<Promise<unknown>, Running>();
  let settled = 0;

  /** Follows something that a process does to its end, if it comes to one. */
  const follow = <T>(
    running: Running,
    work: Promise<T>,
    ended: (value: T) => void,
    failed: (error: unknown) => void,
  ) => {
    calls.set(work, running);
    const gone = () => calls.delete(work);
    work.then(
      (value) => {
        gone();
        if (running.life.isAlive()) ended(value);
      },
      (error: unknown) => {
        gone();
        if (running.life.isAlive()) failed(error);
      },
    );
  };

  /** Does it in a process, once that is not stopped; not at all where it is down. */
  const inside = (index: number, work: (running: Running) => void) => {
    const running = processes[index]?.running();
    running?.life.deliver(() => work(running));
  };

  const settingOf = (caseId: string): CaseSetting => witness.book(caseId).setting;

  const handle = (running: Running, { caseId, decision }: CaseSetting) =>
    decision === "voted"
      ? running.guard.case(caseId, { policy: policyOf(decision), outcomes, allow: allowed })
      : running.guard.case(caseId);

  const say = (running: Running, what: string, work: Promise<unknown>, codes: readonly string[]) =>
    follow(
      running,
      work,
      () => trace.note(`${running.life.name} ${what}: done`),
      (error) => {
        trace.note(`${running.life.name} ${what}: ${codeOf(error)}`);
        witness.refused(what, error, codes);
      },
    );

  function call(act: Of<"call">, running: Running): void {
    const { caseId, requestId, variant, waitMs, patienceMs } = act;
    const kase = settingOf(caseId);
    const wish: Wish = {
      caseId,
      variant,
      secret: `${secret} ${caseId} ${variant}`,
      note: `asked by act ${act.id}`,
    };
    countMischief(act);
    const { life } = running;
    const seen = witness.asked({
      caseId,
      requestId,
      variant,
      payload: contentOf(wish),
      life: life.name,
      impatient: patienceMs !== null,
    });
    trace.note(`${life.name} calls ${caseId} as ${requestId}, ${variant}`);
    const options = { requestId, waitMs, actor: proposer, ...patience(patienceMs, running) };
    follow(
      running,
      answerOf(act, kase, running, wish, options),
      (answer) => {
        if (answer.status === "settled") settled += 1;
        const settlement = answer.status === "settled" ? ` ${answer.receipt.settlementId}` : "";
        trace.note(`${life.name} gets ${answer.status}${settlement} for act ${act.id}`);
        witness.answered(seen, answer as Outcome);
      },
      (error) => failed(act, running, seen, error),
    );
  }

  function failed(act: Act, running: Running, seen: CallSeen, error: unknown): void {
    trace.note(`${running.life.name} gets ${codeOf(error)} for act ${act.id}`);
    witness.failed(seen, error);
  }

  function answerOf(
    act: Of<"call">,
    kase: CaseSetting,
    running: Running,
    wish: Wish,
    options: { requestId: string; waitMs: number; actor: string; signal?: AbortSignal },
  ) {
    const { caseId, action, decision } = kase;
    const { key: _, ...rules } = callee.rules(action, running.life);
    const whole = { ...rules, ...options, action, payload: wish };
    switch (decision) {
      case "voted":
        return handle(running, kase).settle(whole);
      case "approved":
        return running.guard.execute({ ...whole, caseId, policy: policyOf(decision) });
      case "immediate": {
        const wrapped = running.wrapped.get(action);
        return act.via === "wrap" && wrapped !== undefined
          ? wrapped.outcome(wish, options)
          : running.guard.execute({ ...whole, caseId });
      }
    }
  }

  function patience(ms: number | null, { life }: Running): { signal?: AbortSignal } {
    if (ms === null) return {};
    const controller = new AbortController();
    faults.fired("caller: gives up");
    if (ms === 0) controller.abort();
    else life.after(ms, () => controller.abort());
    return { signal: controller.signal };
  }

  function countMischief(act: Of<"call">): void {
    const { requests, payload } = witness.book(act.caseId);
    if (requests.has(act.requestId)) faults.fired("caller: asks again under its request id");
    else if (payload !== null) faults.fired("caller: asks again under a new request id");
    if (payload !== null && !payload.includes(`"${act.variant}"`)) {
      faults.fired("caller: asks for another payload");
    }
    if (!act.requestId.startsWith(act.caseId))
      faults.fired("caller: uses a request id of another case");
  }

  function signal(act: Of<"signal">, running: Running): void {
    const { caseId, source, outcome, signalId, saidAt } = act;
    const given = { source, outcome, signalId, at: epoch + saidAt };
    const { signals } = witness.book(caseId).voices;
    const known = signals.find((one) => one.signalId === signalId);
    if (known !== undefined) {
      const same = known.outcome === outcome && known.at === given.at;
      faults.fired(
        same ? "source: says the same again" : "source: uses a signal's id for another vote",
      );
    } else if (signals.some((one) => one.source === source && one.outcome !== outcome)) {
      faults.fired("source: changes its mind");
    }
    const work = handle(running, settingOf(caseId)).signal(given as never);
    say(
      running,
      `signal ${signalId} on ${caseId}`,
      work.then(({ status }) => heard(act, status)),
      ["payload_conflict", "retired"],
    );
  }

  /** P4: a vote that was taken is kept. */
  function heard({ caseId, signalId, outcome }: Of<"signal">, status: string): void {
    const { record } = witness.book(caseId);
    if (record === null || record.state === "RETIRED") return;
    const kept = [...(record.deliberation?.signals ?? []), ...(record.deliberation?.late ?? [])];
    const isKept = kept.some((one) => one.signalId === signalId && one.outcome === outcome);
    if (!isKept)
      witness.blame(`P4: signal ${signalId} on ${caseId} was ${status}, and is not kept`);
  }

  function review(act: Of<"approve" | "deny">, running: Running): void {
    const { guard, life } = running;
    const { caseId, actor, blindly } = act;
    if (actor === proposer) faults.fired("proposer: approves what it proposed");
    if (blindly) faults.fired("approver: approves something else than is held");
    const approver = { actor, ...(blindly ? { fingerprint: "0".repeat(64) } : {}) };
    const work =
      act.do === "approve" ? guard.approve(caseId, approver) : guard.deny(caseId, approver);
    const codes = [
      "not_found",
      "forbidden",
      "held",
      "retired",
      "payload_conflict",
      "invalid_request",
    ];
    trace.note(`${life.name} ${act.do}s ${caseId} as ${actor}`);
    const wrong = actor === proposer || blindly;
    const checked = work.then((summary) => {
      const waits = summary.state === "OPEN" || summary.state === "RESOLVED_PROVISIONAL";
      if (wrong && waits)
        witness.blame(`P7: ${actor} was heard on ${caseId}${blindly ? ", blindly" : ""}`);
    });
    say(running, `${act.do} of ${caseId}`, checked, codes);
  }

  function resolve(caseId: string, running: Running): void {
    const book = witness.book(caseId);
    if (book.record?.state !== "IN_DOUBT") return;
    const { fence } = book.record.claim;
    const made = callee.done(caseId);
    const happened = made !== undefined;
    trace.note(`a person finds ${caseId} ${happened ? "done" : "not done"}`);
    if (!happened) {
      // Only what can't happen any more did not happen.
      callee.refuse(caseId, fence);
      book.words.personSaidAbsent = Math.max(book.words.personSaidAbsent, fence);
    }
    const resolution = happened ? ({ happened, value: made } as const) : ({ happened } as const);
    const word = { by: "dora", evidence: "looked at the provider", fence };
    say(running, `resolve ${caseId}`, running.guard.resolve(caseId, resolution, word), [
      "held",
      "retired",
    ]);
  }

  function put(act: Act): void {
    switch (act.do) {
      case "call":
        inside(act.process, (running) => call(act, running));
        break;
      case "signal":
        inside(act.process, (running) => signal(act, running));
        break;
      case "approve":
      case "deny":
        inside(act.process, (running) => review(act, running));
        break;
      case "decide":
        inside(act.process, (running) => {
          const word = { by: "dora", reason: "seen" };
          const work = handle(running, settingOf(act.caseId)).decide(act.outcome as never, word);
          say(running, `decide ${act.caseId}`, work, ["held", "retired"]);
        });
        break;
      case "withdraw":
        inside(act.process, (running) => {
          const work = running.guard.case(act.caseId).withdraw({ by: "dora", reason: "not now" });
          say(running, `withdraw ${act.caseId}`, work, ["not_found", "held", "retired"]);
        });
        break;
      case "resolve":
        inside(act.process, (running) => resolve(act.caseId, running));
        break;
      case "sweep":
        inside(act.process, (running) => {
          const sweep = running.guard.reconcile();
          witness.sweeps(running.life.name, sweep);
          say(running, "sweep", sweep, []);
        });
        break;
      case "receipt":
        inside(act.process, (running) => look(act.requestId, running));
        break;
      case "prune":
        inside(act.process, (running) => {
          const before = new Date(epoch + agenda.now() - 5_000);
          say(running, "prune", running.guard.prune({ before }), []);
        });
        break;
      case "kill":
      case "close":
        end(act);
        break;
      case "stop":
        processes[act.process]?.stop(act.ms);
        break;
      case "outage":
        trace.note(`the store is down for ${act.ms}`);
        weather.outageIsFelt = false;
        weather.storeDownUntil = Math.max(weather.storeDownUntil, agenda.now() + act.ms);
        break;
      case "set clock":
        setClock(act);
        break;
    }
  }

  /** P3: a request's receipt is its case's. */
  function look(requestId: string, running: Running): void {
    const work = running.guard.receipt(requestId).then((receipt) => {
      const owner = witness.books.find((book) => book.requests.has(requestId));
      if (receipt !== undefined && JSON.stringify(receipt) !== owner?.receipt) {
        witness.blame(`P3: two receipts for request ${requestId}`);
      }
    });
    say(running, `receipt of ${requestId}`, work, ["retired"]);
  }

  function end(act: Of<"kill" | "close">): void {
    const process = processes[act.process];
    if (process?.running() === undefined) return;
    process[act.do]();
    agenda.after(act.downMs, () => {
      if (process.running() === undefined) process.start();
    });
  }

  function setClock({ process, ms }: Of<"set clock">): void {
    trace.note(`the clock of p${process} is set by ${ms}`);
    faults.fired(ms > 0 ? "clock: set forward" : "clock: set back");
    weather.clockOff[process] = (weather.clockOff[process] ?? 0) + ms;
    if (new Set(weather.clockOff).size > 1) faults.fired("clock: differs between processes");
  }

  return {
    do: put,
    settled: () => settled,
    open: () => [...calls.values()].filter(({ life }) => life.isAlive()).length,
  };
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? error);
}
