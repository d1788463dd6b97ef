import { describe, expect, test } from "vitest";
import { createGuard, NotPerformed } from "../../src/index.ts";
import {
  type BookLine,
  type History,
  type HistoryAnswer,
  type HistoryCall,
  historyAnswer,
  judgeHistory,
} from "../../src/testing/index.ts";

// Histories as they are written by hand: one case, calls that begin at 10, 20, 30 … and take 5.

const settled = (receipt = "A"): HistoryAnswer => ({ status: "settled", receipt, recorded: true });
const unrecorded: HistoryAnswer = { status: "settled", receipt: "A", recorded: false };
const voided: HistoryAnswer = { status: "void", receipt: "none" };
const told = (status: "not_performed" | "pending" | "in_doubt" | "in_progress" | "no_receipt") =>
  ({ status }) as const;
const failed = (effect: "none" | "unknown") => ({ status: "failed", effect }) as const;
/** Its process was killed before it was answered. */
const killed = null;

type Told = HistoryAnswer | null;

function callsOf(answers: readonly Told[]): HistoryCall[] {
  return answers.map((answer, index) => {
    const began = 10 * (index + 1);
    const end = answer === null ? null : { at: began + 5, answer };
    return { callId: `c${index}`, caseId: "case", requestId: "r", payload: "{}", began, end };
  });
}

/** An opaque effect that happened so often, the first time in the midst of the first call. */
function line(effects: number, more: Partial<BookLine> = {}): BookLine {
  const happenedAt = effects === 0 ? null : 12;
  return { class: "opaque", calls: effects, effects, keys: ["k"], happenedAt, ...more };
}

function history(answers: readonly Told[], book: BookLine, more: Partial<History> = {}): History {
  return { calls: callsOf(answers), book: { case: book }, doubts: [], resolved: [], ...more };
}

const kindsOf = (judged: History) => judgeHistory(judged).map(({ kind }) => kind);

test("nothing is wrong with a history in which nothing went wrong", () => {
  const good: readonly History[] = [
    history([], line(0)),
    history([settled(), settled(), settled()], line(1)),
    history([killed, told("in_doubt"), told("in_doubt")], line(1), { doubts: ["case"] }),
    history([killed, told("in_doubt"), settled("by a person")], line(1), { resolved: ["case"] }),
    history([told("not_performed"), settled()], line(1, { happenedAt: 22 })),
    history([told("pending"), voided, voided], line(0)),
    history([killed, settled(), told("in_progress"), failed("unknown"), settled()], line(1)),
    history([failed("none"), settled()], line(1, { happenedAt: 22 })),
  ];
  for (const one of good) expect(judgeHistory(one)).toEqual([]);
});

describe("a bad history, and a good one that is nearly the same", () => {
  const withOtherPayload = (answers: readonly Told[]) =>
    callsOf(answers).map((call, index) => ({ ...call, payload: `{"cents":${index}}` }));
  const withOtherRequest = (answers: readonly Told[]) =>
    callsOf(answers).map((call, index) => ({ ...call, requestId: `r${index}` }));
  const keyed = { class: "keyed" } as const;
  const transactional = { class: "transactional" } as const;

  const pairs: readonly (readonly [what: string, kind: string, bad: History, good: History])[] = [
    [
      "an opaque effect happened twice",
      "effect_doubled",
      history([killed, settled()], line(2)),
      history([killed, settled()], line(1)),
    ],
    [
      "a keyed effect happened twice",
      "effect_doubled",
      history([killed, settled()], line(2, keyed)),
      history([killed, settled()], line(1, { ...keyed, calls: 2 })),
    ],
    [
      "a keyed effect was called with two keys",
      "two_keys",
      history([settled()], line(1, { ...keyed, keys: ["k", "l"] })),
      history([settled()], line(1, { class: "idempotent", keys: ["k", "l"] })),
    ],
    [
      "a transactional effect was committed twice",
      "effect_doubled",
      history([killed, settled()], line(2, transactional)),
      history([killed, settled()], line(1, { ...transactional, calls: 2 })),
    ],
    [
      "a transactional effect is listed as in doubt",
      "needless_doubt",
      history([killed], line(0, { ...transactional, calls: 1 }), { doubts: ["case"] }),
      history([killed], line(0, { ...transactional, calls: 1 })),
    ],
    [
      "a transactional effect was committed, and nobody has its receipt",
      "doubt_not_listed",
      history([killed], line(1, transactional)),
      history([killed, settled()], line(1, transactional)),
    ],
    [
      "a receipt changed",
      "two_receipts",
      history([settled("A"), settled("B")], line(1)),
      history([settled("A"), settled("A")], line(1)),
    ],
    [
      "a receipt changed; one that was said not to be recorded may",
      "two_receipts",
      history([settled("B"), settled("A")], line(1)),
      history([unrecorded, settled("B")], line(1)),
    ],
    [
      "one case was answered as done for two payloads",
      "two_payloads",
      history([], line(1), { calls: withOtherPayload([settled(), settled()]) }),
      history([], line(1), { calls: withOtherPayload([settled(), failed("none")]) }),
    ],
    [
      "a receipt was lost",
      "receipt_lost",
      history([settled(), told("in_doubt")], line(1)),
      history([told("in_doubt"), settled()], line(1)),
    ],
    [
      "a receipt was lost: the request that was given it has none",
      "receipt_lost",
      history([settled(), told("no_receipt")], line(1)),
      history([], line(1), { calls: withOtherRequest([settled(), told("no_receipt")]) }),
    ],
    [
      "a receipt was lost: its case is listed as in doubt",
      "receipt_lost",
      history([settled()], line(1), { doubts: ["case"] }),
      history([unrecorded], line(1), { doubts: ["case"] }),
    ],
    [
      "done was said of what never happened",
      "false_success",
      history([settled()], line(0)),
      history([told("in_doubt")], line(0)),
    ],
    [
      "done was said of what the world was never called for",
      "false_success",
      history([settled()], line(0), { book: {} }),
      history([voided], line(0), { book: {} }),
    ],
    [
      "void was said of what happened",
      "false_failure",
      history([killed, voided], line(1)),
      history([killed, voided], line(0)),
    ],
    [
      "not performed was said of what had happened",
      "false_failure",
      history([killed, told("not_performed"), settled()], line(1)),
      history([killed, told("not_performed"), settled()], line(1, { happenedAt: 32 })),
    ],
    [
      "all said that it did not happen, and one of them did it",
      "false_failure",
      history([told("not_performed"), failed("none")], line(1), { doubts: ["case"] }),
      history([told("not_performed"), failed("unknown")], line(1), { doubts: ["case"] }),
    ],
    [
      "a doubt is not listed",
      "doubt_not_listed",
      history([killed, told("in_doubt")], line(1)),
      history([killed, told("in_doubt")], line(1), { doubts: ["case"] }),
    ],
    [
      "a doubt is not listed, and nobody asked again",
      "doubt_not_listed",
      history([killed], line(1)),
      history([killed], line(1), { resolved: ["case"] }),
    ],
  ];

  test.each(pairs)("%s", (_what, kind, bad, good) => {
    expect(kindsOf(bad)).toEqual([kind]);
    expect(kindsOf(good)).toEqual([]);
  });
});

test("one of each class: which promise it is that a second effect breaks", () => {
  const promiseOf = (kind: BookLine["class"]) =>
    judgeHistory(history([settled()], line(2, { class: kind }))).map(({ promise }) => promise);
  expect(promiseOf("opaque")).toEqual(["P1"]);
  expect(promiseOf("keyed")).toEqual(["P2"]);
  expect(promiseOf("probeable")).toEqual(["P2"]);
  expect(promiseOf("transactional")).toEqual(["P2"]);
});

test("a call that began before the receipt was told may be told otherwise", () => {
  const [first, second] = callsOf([settled(), told("in_doubt")]);
  const early = { ...second!, began: 14 };
  const judged = (calls: readonly HistoryCall[]) => kindsOf(history([], line(1), { calls }));
  expect(judged([first!, early])).toEqual([]);
  expect(judged([first!, second!])).toEqual(["receipt_lost"]);
});

test("cases are judged one by one, and a violation names the calls that show it", () => {
  const [one, other] = callsOf([settled("A"), settled("B")]);
  const apart = history([], line(1), {
    calls: [one!, { ...other!, caseId: "other" }],
    book: { case: line(1), other: line(1) },
  });
  expect(judgeHistory(apart)).toEqual([]);
  expect(judgeHistory(history([], line(1), { calls: [one!, other!] }))).toEqual([
    {
      promise: "P3",
      kind: "two_receipts",
      caseId: "case",
      says: "answered with A and with B",
      callIds: ["c0", "c1"],
    },
  ]);
});

test("what a guard answers, as it stands in a history", async () => {
  await using guard = createGuard({ store: "memory:" });
  const ask = (run: () => unknown) =>
    guard.execute({ requestId: "r1", action: "pay", payload: {}, run });
  const first = historyAnswer(await ask(() => "paid"));
  const receipt = JSON.stringify(await guard.receipt("r1"));
  expect(first).toEqual({ status: "settled", receipt, recorded: true });
  expect(historyAnswer(await ask(() => "paid"))).toEqual(first);

  const lost = () => Promise.reject(new Error("the reply was lost"));
  const doubted = { requestId: "r2", action: "pay", payload: {}, run: lost } as const;
  expect(historyAnswer(await guard.execute(doubted))).toEqual({ status: "in_doubt" });

  const never = () => Promise.reject(new NotPerformed("closed", { final: true }));
  const refused = { requestId: "r3", action: "pay", payload: {}, run: never } as const;
  const none = historyAnswer(await guard.execute(refused));
  expect(none).toEqual({ status: "void", receipt: JSON.stringify(await guard.receipt("r3")) });
});
