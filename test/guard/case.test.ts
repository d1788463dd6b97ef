import { describe, expect, test } from "vitest";
import {
  all,
  approval,
  type CaseOptions,
  type Guard,
  immediate,
  majority,
  NotPerformed,
  type Run,
  threshold,
} from "../../src/index.ts";
import { counted, errorOf, gated, world } from "./world.ts";

const votes = {
  outcomes: ["YES", "NO"],
  policy: threshold({ share: 0.6, quorum: 3 }),
} as const satisfies CaseOptions<"YES" | "NO">;

const ask = (run: Run<unknown, unknown>, requestId = "r1") => ({
  requestId,
  action: "pay",
  payload: { cents: 500 },
  run,
});

const typesOf = async (guard: Guard, id = "match-1") =>
  (await guard.history(id)).map(({ entry }) => entry.event.type);

describe("opening", () => {
  test("by the first thing that is done with it, not before", async () => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    expect(match.caseId).toBe("match-1");
    expect((await guard.list()).items).toEqual([]);
    expect(await match.get()).toMatchObject({
      state: "OPEN",
      intent: null,
      deliberation: { policy: votes.policy, outcomes: ["YES", "NO"], allow: null },
    });
    await match.get();
    await guard.case("match-1", votes).get();
    expect(await typesOf(guard)).toEqual(["open"]);
  });

  test("where nothing is said a person decides", async () => {
    const { guard } = world();
    expect(await guard.case("match-1", {}).get()).toMatchObject({
      state: "OPEN",
      deliberation: { policy: { kind: "manual" }, outcomes: null, allow: null, expiresAt: null },
    });
  });

  test("nobody asked: final at once", async () => {
    const { guard } = world();
    const match = guard.case("match-1", { policy: immediate() });
    expect(await match.get()).toMatchObject({ state: "FINAL", deliberation: null });
    expect(await match.settle(ask(() => "paid"))).toMatchObject({ status: "settled" });
  });

  test.each<readonly [string, CaseOptions]>([
    ["another policy", { ...votes, policy: threshold({ share: 0.7, quorum: 3 }) }],
    ["other outcomes", { ...votes, outcomes: ["YES", "NO", "DRAW"] }],
    ["another `allow`", { ...votes, allow: ["YES"] }],
    ["no options to speak of", {}],
  ])("again with %s is a conflict", async (_name, options) => {
    const { guard } = world();
    await guard.case("match-1", votes).get();
    const error = await errorOf(guard.case("match-1", options).get());
    expect(error).toMatchObject({ code: "payload_conflict", effect: "none", caseId: "match-1" });
    expect(await typesOf(guard)).toEqual(["open"]);
  });

  test("again, bringing the action that was not there yet", async () => {
    const { guard } = world();
    await guard.case("match-1", votes).get();
    const more = { ...votes, action: "pay", payload: { cents: 500 } };
    expect(await guard.case("match-1", more).get()).toMatchObject({ intent: { action: "pay" } });
    const other = guard.case("match-1", { ...more, payload: { cents: 501 } });
    expect((await errorOf(other.get())).code).toBe("payload_conflict");
    const effect = counted(() => 1);
    expect((await errorOf(other.settle(ask(effect.run)))).code).toBe("payload_conflict");
  });

  test("a handle that could not open tries again with the next call", async () => {
    const { store, another } = world();
    let broken = true;
    const commit: typeof store.commit = async (steps) => {
      if (broken) throw new Error("the disk is gone");
      return store.commit(steps);
    };
    const match = another({ store: { ...store, commit } }).case("match-1", votes);
    await expect(match.get()).rejects.toThrow("the disk is gone");
    broken = false;
    expect(await match.get()).toMatchObject({ state: "OPEN" });
  });

  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ["a policy that is none", { policy: { kind: "vibes" } }, /policy can't be used/],
    ["no outcomes", { outcomes: [] }, /`outcomes` must name 1 to 100/],
    ["an outcome twice", { outcomes: ["YES", "YES"] }, /names an outcome twice/],
    ["an outcome without a name", { outcomes: [""] }, /`outcomes`/],
    ["101 outcomes", { outcomes: Array.from({ length: 101 }, String) }, /`outcomes`/],
    ["allowing what is not declared", { ...votes, allow: ["DRAW"] }, /`allow` names an outcome/],
    ["a payload without an action", { payload: 1 }, /needs its action/],
    ["an action without a payload", { action: "pay" }, /The payload is not JSON/],
    ["a payload that is not JSON", { action: "pay", payload: { at: 1n } }, /at "\/at" is not JSON/],
    ["a nameless actor", { actor: "" }, /`actor`/],
  ];

  test.each(wrong)("%s is refused at once", async (_name, options, says) => {
    const { guard } = world();
    const error = await errorOf(() => guard.case("match-1", options));
    expect(error.code).toBe("invalid_request");
    expect(error.message).toMatch(says);
  });

  test("a case id is a name", async () => {
    const { guard } = world();
    expect((await errorOf(() => guard.case("a\u0000b"))).code).toBe("invalid_request");
  });
});

describe("a handle without options, on a case that nobody opened", () => {
  test("get finds nothing; whatever else is refused as not found", async () => {
    const { guard } = world();
    const ghost = guard.case("ghost");
    const effect = counted(() => 1);
    expect(await ghost.get()).toBeUndefined();
    for (const call of [
      ghost.signal({ source: "a", outcome: "YES" }),
      ghost.decide("YES", { by: "ana", reason: "seen" }),
      ghost.withdraw({ by: "ana", reason: "seen" }),
      ghost.settle(ask(effect.run)),
      guard.approve("ghost", { actor: "ana" }),
      guard.deny("ghost", { actor: "ana" }),
      guard.resolve("ghost", { happened: true }, { by: "ana", evidence: "seen" }),
    ]) {
      expect(await errorOf(call)).toMatchObject({ code: "not_found", effect: "none" });
    }
    expect(effect.starts).toHaveLength(0);
    expect((await guard.list()).items).toEqual([]);
  });

  test("settle doesn't bring it to life, whatever its call says", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    const call = { ...ask(effect.run), policy: approval() };
    expect((await errorOf(guard.case("ghost").settle(call))).code).toBe("not_found");
    expect(await guard.case("ghost").get()).toBeUndefined();
    expect(effect.starts).toHaveLength(0);
  });

  test("it takes a case as it is", async () => {
    const { guard } = world();
    await guard.case("match-1", votes).get();
    const match = guard.case("match-1");
    expect((await match.signal({ source: "a", outcome: "YES" })).status).toBe("accepted");
    expect(await match.get()).toMatchObject({ state: "RESOLVED_PROVISIONAL" });
  });
});

describe("signals", () => {
  test("move the case from state to state, and then it is settled once", async () => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    const effect = counted(() => "paid");
    const one = await match.signal({ source: "a", outcome: "YES" });
    expect(one).toMatchObject({ status: "accepted", case: { state: "RESOLVED_PROVISIONAL" } });
    expect(one.case.verdict).toMatchObject({ status: "undecided" });
    expect(await match.settle(ask(effect.run))).toMatchObject({ status: "pending" });
    expect((await match.signal({ source: "b", outcome: "NO" })).case.state).toBe(
      "IN_RECONCILIATION",
    );
    const last = await match.signal({ source: "c", outcome: "YES" });
    expect(last.case).toMatchObject({
      state: "FINAL",
      verdict: {
        status: "final",
        outcome: "YES",
        tally: [
          { outcome: "NO", sources: ["b"] },
          { outcome: "YES", sources: ["a", "c"] },
        ],
      },
    });
    expect(effect.starts).toHaveLength(0);
    const settled = await match.settle(ask(effect.run));
    expect(settled).toMatchObject({
      status: "settled",
      receipt: { outcome: "YES", value: "paid" },
    });
    const again = await match.settle(ask(effect.run, "r2"));
    expect(again).toEqual({ ...settled, replayed: true });
    expect(effect.starts).toHaveLength(1);
  });

  test("one live vote per source: its latest, by when the source said it", async () => {
    const { guard, turn } = world();
    const match = guard.case("match-1", votes);
    await match.signal({ source: "a", outcome: "YES" });
    turn(1);
    const changed = await match.signal({ source: "a", outcome: "NO" });
    expect(changed.case.verdict?.tally).toEqual([{ outcome: "NO", sources: ["a"] }]);
    const old = await match.signal({ source: "a", outcome: "YES", at: 5 });
    expect(old.case.verdict?.tally).toEqual([{ outcome: "NO", sources: ["a"] }]);
  });

  test("the same id again changes nothing; another vote under it is a conflict", async () => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    const vote = { source: "a", outcome: "YES", confidence: 0.9, signalId: "m1" } as const;
    await match.signal(vote);
    expect(await match.signal({ ...vote, at: 9 })).toMatchObject({
      status: "repeated",
      case: { state: "RESOLVED_PROVISIONAL" },
    });
    for (const rest of [{ outcome: "NO" }, { source: "b" }, { confidence: 0.8 }] as const) {
      expect((await errorOf(match.signal({ ...vote, ...rest }))).code).toBe("payload_conflict");
    }
    expect(await typesOf(guard)).toEqual(["open", "signal"]);
  });

  test("after the decision it is kept as evidence and changes nothing", async () => {
    const { guard } = world();
    const match = guard.case("match-1", { ...votes, policy: majority({ quorum: 1 }) });
    await match.signal({ source: "a", outcome: "YES" });
    const before = await match.get();
    const late = { source: "b", outcome: "NO", signalId: "m2" } as const;
    expect(await match.signal(late)).toMatchObject({ status: "late", case: { state: "FINAL" } });
    expect((await match.signal(late)).status).toBe("repeated");
    const after = await match.get();
    if (before?.state !== "FINAL" || after?.state !== "FINAL") throw new Error(after?.state);
    expect(after.deliberation).toEqual({
      ...before.deliberation,
      late: [expect.objectContaining({ source: "b", outcome: "NO" })],
    });
    const settled = await match.settle(ask(() => "paid"));
    expect((await match.signal({ source: "c", outcome: "NO" })).status).toBe("late");
    expect(await match.settle(ask(() => "again"))).toEqual({ ...settled, replayed: true });
  });

  test("from a source that the policy doesn't listen to is forbidden", async () => {
    const { guard } = world();
    const policy = threshold({ share: 0.6, quorum: 1, weights: { a: 1 } });
    const match = guard.case("match-1", { ...votes, policy });
    expect((await errorOf(match.signal({ source: "z", outcome: "YES" }))).code).toBe("forbidden");
  });

  test.each<readonly [string, object]>([
    ["an outcome that is not declared", { outcome: "DRAW" }],
    ["no source", { source: "" }],
    ["too much confidence", { confidence: 1.01 }],
    ["no confidence at all", { confidence: Number.NaN }],
    ["an instant that is none", { at: 0.5 }],
    ["an id that is none", { signalId: "" }],
  ])("%s is refused", async (_name, rest) => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    const error = await errorOf(match.signal({ source: "a", outcome: "YES", ...rest }));
    expect(error).toMatchObject({ code: "invalid_request", effect: "none" });
    expect(await match.get()).toMatchObject({ state: "OPEN" });
  });

  test("confidence is kept to the millionth", async () => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    await match.signal({ source: "a", outcome: "YES", confidence: 0.123_456_7 });
    await match.signal({ source: "b", outcome: "YES" });
    expect(await match.get()).toMatchObject({
      deliberation: { signals: [{ confidencePpm: 123_457 }, { confidencePpm: 1_000_000 }] },
    });
  });
});

describe("deciding", () => {
  const split = async () => {
    const made = world();
    const match = made.guard.case("match-1", votes);
    await match.signal({ source: "a", outcome: "YES" });
    await match.signal({ source: "b", outcome: "NO" });
    return { ...made, match };
  };

  test("ends a reconciliation, with who and why in the journal", async () => {
    const { guard, match, now } = await split();
    const summary = await match.decide("YES", { by: "ana", reason: "seen on tape" });
    expect(summary).toMatchObject({
      state: "FINAL",
      verdict: { status: "final", outcome: "YES", why: "decided by a person" },
    });
    expect((await guard.history("match-1")).at(-1)?.entry.event).toMatchObject({
      type: "decide",
      outcome: "YES",
      reason: "seen on tape",
      by: "ana",
      at: now(),
    });
    expect(await match.settle(ask(() => "paid"))).toMatchObject({ receipt: { outcome: "YES" } });
  });

  test("once: the second word is held", async () => {
    const { match } = await split();
    const word = { by: "ana", reason: "seen" };
    await match.decide("YES", word);
    expect(await errorOf(match.decide("NO", word))).toMatchObject({ code: "held", effect: "none" });
    expect(await match.get()).toMatchObject({ deliberation: { verdict: { outcome: "YES" } } });
  });

  test("the same word again is a repeat, before and after the effect", async () => {
    const { guard, match } = await split();
    const word = { by: "ana", reason: "seen" };
    await match.decide("YES", word);
    expect((await match.decide("YES", word)).state).toBe("FINAL");
    await match.settle(ask(() => "paid"));
    expect((await match.decide("YES", word)).state).toBe("SETTLED");
    expect((await errorOf(match.decide("YES", { ...word, by: "ben" }))).code).toBe("held");
    expect((await typesOf(guard)).filter((type) => type === "decide")).toHaveLength(1);
  });

  test("only for an outcome that was declared, or else voted for", async () => {
    const { match, guard } = await split();
    const word = { by: "ana", reason: "seen" };
    expect((await errorOf(match.decide("DRAW" as never, word))).code).toBe("invalid_request");
    const open = guard.case("match-2", {});
    expect((await errorOf(open.decide("YES", word))).code).toBe("invalid_request");
    await open.signal({ source: "a", outcome: "YES" });
    expect((await open.decide("YES", word)).state).toBe("FINAL");
  });

  test("needs a name and a reason", async () => {
    const { match } = await split();
    for (const word of [
      { by: "", reason: "seen" },
      { by: "ana", reason: "" },
      { by: "ana", reason: "  " },
      { by: "ana", reason: "x".repeat(2_001) },
    ]) {
      expect((await errorOf(match.decide("YES", word))).code).toBe("invalid_request");
    }
    expect(await match.get()).toMatchObject({ state: "IN_RECONCILIATION" });
  });

  test("never stands in for an approval", async () => {
    const { guard } = world();
    const policy = all(majority({ quorum: 2 }), approval({ from: ["ben"] }));
    const match = guard.case("match-1", { ...votes, policy, action: "pay", payload: 1 });
    expect((await match.decide("YES", { by: "ana", reason: "seen" })).state).toBe("OPEN");
    expect((await guard.approve("match-1", { actor: "ben" })).state).toBe("FINAL");
    const only = guard.case("match-2", { policy: approval(), action: "pay", payload: 1 });
    const error = await errorOf(only.decide("YES", { by: "ana", reason: "seen" }));
    expect(error.code).toBe("invalid_request");
  });
});

describe("ends without effect", () => {
  test("final on an outcome that doesn't permit it: rejected", async () => {
    const { guard } = world();
    const policy = majority({ quorum: 1 });
    const match = guard.case("match-1", { ...votes, policy, allow: ["YES"] });
    const effect = counted(() => 1);
    expect((await match.signal({ source: "a", outcome: "NO" })).case.state).toBe("VOID");
    expect(await match.settle(ask(effect.run))).toMatchObject({
      status: "void",
      effect: "none",
      receipt: { effect: "none", reason: "rejected", outcome: "NO" },
      next: expect.stringMatching(/^Nothing was executed, and nothing will be: it was decided/),
    });
    expect(effect.starts).toHaveLength(0);
    const other = guard.case("match-2", { ...votes, policy, allow: ["YES"] });
    expect((await other.signal({ source: "a", outcome: "YES" })).case.state).toBe("FINAL");
  });

  test("decided on an outcome that doesn't permit it: rejected too", async () => {
    const { guard } = world();
    const match = guard.case("match-1", { ...votes, allow: ["YES"] });
    expect((await match.decide("NO", { by: "ana", reason: "seen" })).state).toBe("VOID");
  });

  test("withdrawn, before it is executed", async () => {
    const { guard } = world();
    const match = guard.case("match-1", votes);
    const word = { by: "ana", reason: "called off" };
    expect((await match.withdraw(word)).state).toBe("VOID");
    expect(await match.settle(ask(() => 1))).toMatchObject({
      status: "void",
      receipt: { reason: "withdrawn", note: "called off", by: "ana" },
    });
    expect((await errorOf(match.withdraw(word))).code).toBe("held");
    expect((await match.signal({ source: "a", outcome: "YES" })).status).toBe("late");
    expect((await match.get())?.state).toBe("VOID");
  });

  test("never withdrawn while it runs, in doubt, or settled", async () => {
    const { guard } = world();
    const word = { by: "ana", reason: "called off" };
    const match = guard.case("match-1", { policy: immediate() });
    const effect = gated();
    const call = match.settle(ask(effect.run));
    await effect.started;
    expect(await errorOf(match.withdraw(word))).toMatchObject({ code: "held", effect: "unknown" });
    effect.fail(new Error("reset"));
    await call;
    expect(await errorOf(match.withdraw(word))).toMatchObject({ code: "held", effect: "unknown" });
    await guard.resolve("match-1", { happened: true }, { by: "ana", evidence: "seen" });
    expect(await errorOf(match.withdraw(word))).toMatchObject({ code: "held", effect: "none" });
    for (const empty of [
      { by: "", reason: "x" },
      { by: "ana", reason: "" },
    ]) {
      expect((await errorOf(match.withdraw(empty))).code).toBe("invalid_request");
    }
  });
});

describe("settling a case", () => {
  test("a handle with options opens it first", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    expect(await guard.case("match-1", votes).settle(ask(effect.run))).toMatchObject({
      status: "pending",
      effect: "none",
      next: expect.stringMatching(/^Nothing was executed\. Case match-1 is OPEN: 0 voted/),
    });
    expect(effect.starts).toHaveLength(0);
  });

  test("the case says what is decided; the call can't say otherwise", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    const match = guard.case("match-1", votes);
    await match.get();
    const call = { ...ask(effect.run), caseId: "other", policy: immediate() };
    expect(await match.settle(call)).toMatchObject({ status: "pending" });
    // Nor can a plain call by the case's id.
    const plain = { ...ask(effect.run), caseId: "match-1" };
    expect(await guard.execute(plain)).toMatchObject({ status: "pending" });
    expect(effect.starts).toHaveLength(0);
  });

  test("what it holds is what runs: another payload is a conflict", async () => {
    const { guard } = world();
    const effect = counted(() => 1);
    const options = { policy: immediate(), action: "pay", payload: { cents: 1 } };
    const match = guard.case("match-1", options);
    expect((await errorOf(match.settle(ask(effect.run)))).code).toBe("payload_conflict");
    expect(effect.starts).toHaveLength(0);
    const right = { ...ask(effect.run), payload: { cents: 1 } };
    expect((await match.settle(right)).status).toBe("settled");
  });
});

describe("approvals", () => {
  const wanted = (rule: Parameters<typeof approval>[0] = {}) => {
    const made = world();
    const effect = counted(() => "paid");
    const call = { ...ask(effect.run), policy: approval(rule), actor: "ana" };
    return { ...made, effect, go: () => made.guard.execute(call) };
  };

  test("bind to what will run, and are used up by the one settlement", async () => {
    const { guard, go, effect } = wanted();
    expect(await go()).toMatchObject({ status: "pending", case: { state: "OPEN" } });
    expect(await guard.approve("r1", { actor: "ben", note: "fine" })).toMatchObject({
      state: "FINAL",
      verdict: { status: "final", why: "1 of 1 approvals" },
    });
    expect(effect.starts).toHaveLength(0);
    expect(await go()).toMatchObject({ status: "settled", receipt: { value: "paid", by: "ana" } });
    expect((await errorOf(guard.approve("r1", { actor: "cleo" }))).code).toBe("held");
    expect((await guard.approve("r1", { actor: "ben" })).state).toBe("SETTLED");
    await go();
    expect(effect.starts).toHaveLength(1);
    expect(await guard.case("r1").get()).toMatchObject({
      deliberation: { approvals: [{ actor: "ben", approved: true, note: "fine" }] },
    });
  });

  test("the proposer can't, named in the rule or not", async () => {
    for (const rule of [{}, { from: ["ana", "ben"] }]) {
      const { guard, go } = wanted(rule);
      await go();
      for (const word of [guard.approve, guard.deny]) {
        const error = await errorOf(word("r1", { actor: "ana" }));
        expect(error).toMatchObject({ code: "forbidden", effect: "none" });
      }
      expect((await guard.case("r1").get())?.state).toBe("OPEN");
      expect((await guard.approve("r1", { actor: "ben" })).state).toBe("FINAL");
    }
  });

  test("only those named may", async () => {
    const { guard, go } = wanted({ from: ["ben"] });
    await go();
    expect((await errorOf(guard.approve("r1", { actor: "eve" }))).code).toBe("forbidden");
    expect((await errorOf(guard.deny("r1", { actor: "eve" }))).code).toBe("forbidden");
    expect((await guard.approve("r1", { actor: "ben" })).state).toBe("FINAL");
  });

  test("one person counts once", async () => {
    const { guard, go } = wanted({ need: 2 });
    await go();
    await guard.approve("r1", { actor: "ben" });
    expect(await guard.approve("r1", { actor: "ben" })).toMatchObject({
      state: "OPEN",
      verdict: { why: "1 of 2 approvals" },
    });
    expect((await go()).status).toBe("pending");
    expect((await guard.approve("r1", { actor: "cleo" })).state).toBe("FINAL");
    expect((await go()).status).toBe("settled");
  });

  test("a denial ends it, for good", async () => {
    const { guard, go, effect } = wanted({ need: 2 });
    await go();
    await guard.approve("r1", { actor: "ben" });
    expect((await guard.deny("r1", { actor: "ben", note: "second thoughts" })).state).toBe("VOID");
    expect(await go()).toMatchObject({
      status: "void",
      receipt: { reason: "denied", by: "ben" },
      forModel: expect.stringMatching(/^Not executed: an approver denied it/),
    });
    expect((await errorOf(guard.approve("r1", { actor: "cleo" }))).code).toBe("held");
    expect(effect.starts).toHaveLength(0);
    expect((await guard.history("r1")).at(-1)?.entry.event).toMatchObject({
      type: "deny",
      note: "second thoughts",
    });
  });

  test("for what was shown: another fingerprint is a conflict", async () => {
    const { guard, go } = wanted();
    await go();
    const [kase] = (await guard.list()).items;
    const held = kase?.state === "OPEN" ? kase.intent?.fingerprint : undefined;
    if (held === undefined) throw new Error(kase?.state);
    const wrong = { actor: "ben", fingerprint: "0".repeat(64) };
    expect((await errorOf(guard.approve("r1", wrong))).code).toBe("payload_conflict");
    expect((await errorOf(guard.deny("r1", wrong))).code).toBe("payload_conflict");
    const shown = { actor: "ben", fingerprint: held };
    expect((await guard.approve("r1", shown)).state).toBe("FINAL");
  });

  test("not after their time, by the clock, before any sweep", async () => {
    const { guard, go, turn, effect } = wanted({ expiresIn: 1_000 });
    await go();
    turn(1_000);
    const error = await errorOf(guard.approve("r1", { actor: "ben" }));
    expect(error).toMatchObject({ code: "held", effect: "none" });
    expect(await go()).toMatchObject({ status: "void", receipt: { reason: "expired" } });
    expect(effect.starts).toHaveLength(0);
  });

  test("once given they don't expire", async () => {
    const { guard, go, turn } = wanted({ expiresIn: 1_000 });
    await go();
    turn(999);
    await guard.approve("r1", { actor: "ben" });
    turn(1_000_000);
    expect((await go()).status).toBe("settled");
  });

  test("are asked for, or the call is a conflict: never run under the policy of another", async () => {
    const { guard } = world();
    const effect = counted((start) => {
      if (start === 1) throw new NotPerformed("busy");
      return start;
    });
    await guard.execute(ask(effect.run));
    const strict = guard.execute({ ...ask(effect.run), policy: approval() });
    expect(await errorOf(strict)).toMatchObject({ code: "payload_conflict", effect: "none" });
    expect(effect.starts).toHaveLength(1);
  });

  test("need a case that holds its action, and a policy that asks", async () => {
    const { guard } = world();
    await guard.case("c1", { policy: approval() }).get();
    expect((await errorOf(guard.approve("c1", { actor: "ben" }))).code).toBe("invalid_request");
    await guard.case("c2", { ...votes, action: "pay", payload: 1 }).get();
    expect((await errorOf(guard.approve("c2", { actor: "ben" }))).code).toBe("invalid_request");
    await guard.case("c3", { policy: approval(), action: "pay", payload: 1, actor: "ana" }).get();
    expect((await errorOf(guard.approve("c3", { actor: "ana" }))).code).toBe("forbidden");
    expect((await guard.approve("c3", { actor: "ben" })).state).toBe("FINAL");
  });

  test("need a name, and a note that is a text where there is one", async () => {
    const { guard, go } = wanted();
    await go();
    for (const approver of [
      { actor: "" },
      { actor: "ben", note: "" },
      { actor: "ben", note: "x".repeat(2_001) },
      { actor: "ben", note: "\ud800" },
    ]) {
      expect((await errorOf(guard.approve("r1", approver))).code).toBe("invalid_request");
    }
    expect((await errorOf(guard.approve("", { actor: "ben" }))).code).toBe("invalid_request");
    expect((await guard.case("r1").get())?.state).toBe("OPEN");
  });
});

describe("resolving a doubt by a person's word", () => {
  const word = { by: "ana", evidence: "charge 77 in the provider's console" };
  const doubted = async () => {
    const made = world();
    const effect = counted((start) => {
      if (start === 1) throw new Error("reset");
      return start;
    });
    const go = () => made.guard.execute(ask(effect.run));
    expect((await go()).status).toBe("in_doubt");
    return { ...made, effect, go };
  };

  test("it happened: settled, with the value, the person and the evidence", async () => {
    const { guard, go, effect, now } = await doubted();
    const outcome = await guard.resolve("r1", { happened: true, value: { charge: 77 } }, word);
    expect(outcome).toMatchObject({
      status: "settled",
      replayed: true,
      receipt: {
        source: "resolved",
        value: { charge: 77 },
        by: "ana",
        evidence: word.evidence,
        fence: 1,
        settledAt: now(),
      },
    });
    expect(await go()).toEqual(outcome);
    expect(effect.starts).toHaveLength(1);
  });

  test("it did not happen: free again, and the next call runs it", async () => {
    const { guard, go, effect } = await doubted();
    const outcome = await guard.resolve("r1", { happened: false }, word);
    expect(outcome).toMatchObject({ status: "not_performed", effect: "none" });
    expect(await go()).toMatchObject({ status: "settled", receipt: { value: 2, fence: 2 } });
    expect(effect.starts).toHaveLength(2);
    const events = (await guard.history("r1")).map(({ entry }) => entry.event);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "resolve", happened: false, evidence: word.evidence }),
    );
  });

  test("needs a name and evidence", async () => {
    const { guard } = await doubted();
    for (const bad of [
      { by: "", evidence: "seen" },
      { by: "ana", evidence: "" },
      { by: "ana", evidence: "\n" },
      { by: "ana", evidence: "x".repeat(2_001) },
      { by: "ana" } as never,
      { evidence: "seen" } as never,
    ]) {
      const error = await errorOf(guard.resolve("r1", { happened: true }, bad));
      expect(error.code).toBe("invalid_request");
    }
    expect((await guard.case("r1").get())?.state).toBe("IN_DOUBT");
  });

  test("only of what is in doubt", async () => {
    const { guard, another } = world();
    const resolve = (id: string) => errorOf(guard.resolve(id, { happened: false }, word));
    await guard.case("open", votes).get();
    expect(await resolve("open")).toMatchObject({ code: "held", effect: "none" });
    await guard.case("final", { policy: immediate() }).get();
    expect(await resolve("final")).toMatchObject({ code: "held", effect: "none" });
    const effect = gated();
    const call = another().execute({ ...ask(effect.run), caseId: "runs" });
    await effect.started;
    expect(await resolve("runs")).toMatchObject({ code: "held", effect: "unknown" });
    effect.finish("done");
    await call;
    expect(await resolve("runs")).toMatchObject({ code: "held", effect: "none" });
    await guard.case("open").withdraw({ by: "ana", reason: "no" });
    expect((await resolve("open")).code).toBe("held");
  });

  test("of the claim that was looked into, not of a later one", async () => {
    const { guard, go } = await doubted();
    await guard.resolve("r1", { happened: false }, { ...word, fence: 1 });
    const again = counted(() => {
      throw new Error("reset");
    });
    expect((await guard.execute(ask(again.run))).status).toBe("in_doubt");
    const stale = guard.resolve("r1", { happened: false }, { ...word, fence: 1 });
    expect(await errorOf(stale)).toMatchObject({ code: "held", effect: "unknown" });
    expect((await go()).status).toBe("in_doubt");
    await guard.resolve("r1", { happened: true }, { ...word, fence: 2 });
    expect(await go()).toMatchObject({ status: "settled", receipt: { fence: 2 } });
  });

  test("once", async () => {
    const { guard } = await doubted();
    await guard.resolve("r1", { happened: true }, word);
    const error = await errorOf(guard.resolve("r1", { happened: false }, word));
    expect(error.code).toBe("held");
    expect(await guard.receipt("r1")).toMatchObject({ effect: "once", source: "resolved" });
  });
});
