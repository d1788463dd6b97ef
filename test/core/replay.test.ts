import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Absent, type Case, retired, type Settled } from "../../src/core/case.ts";
import { entryText, readEntry } from "../../src/core/entry.ts";
import type { Event } from "../../src/core/event.ts";
import { approval, majority } from "../../src/core/policy.ts";
import {
  changedEntry,
  differences,
  isWhole,
  type Replay,
  replayEntry,
  replayOf,
  requestOf,
} from "../../src/core/replay.ts";
import { transition } from "../../src/core/transition.ts";
import {
  absent,
  approve,
  claim,
  doubt,
  event,
  happened,
  idempotent,
  intent,
  keyed,
  open,
  queued,
  reached,
  release,
  requestId,
  right,
  settle,
  transactional,
  vote,
} from "./samples.ts";

const sha256 = (text: string) => hash("sha256", text);

interface Written {
  readonly case: Case;
  readonly head: string;
  readonly texts: readonly string[];
}

/** What the guard writes of these events. A renewal leaves no entry. */
function written(...events: readonly Event[]): Written {
  let kase: Case | Absent = absent;
  let head: string | null = null;
  const texts: string[] = [];
  for (const one of events) {
    const answer = transition(kase, one);
    if (!answer.ok) throw new Error(`${kase.state} refused ${one.type}: ${answer.refusal}`);
    kase = answer.next;
    if (one.type === "renew") continue;
    const text: string = entryText(kase, one, head);
    texts.push(text);
    head = sha256(text);
  }
  if (kase.state === "ABSENT" || head === null) throw new Error("no events");
  return { case: kase, head, texts };
}

const renew = (at: number, leaseUntil = at + 100): Event =>
  event({ type: "renew", fence: 1, leaseUntil }, { at });

/** Replays texts; the fault and where it is, or what they come to. */
function replayed(texts: readonly string[]): Replay | string {
  let replay = replayOf("ns", absent.caseId);
  for (const [index, text] of texts.entries()) {
    const step = replayEntry(replay, text, sha256);
    if (!step.ok) return `${index} ${step.fault}`;
    replay = step.replay;
  }
  return replay;
}

function whole({ texts }: Written): Replay {
  const replay = replayed(texts);
  if (typeof replay === "string") throw new Error(replay);
  return replay;
}

/** The texts with one of them edited as JSON; those behind it are linked anew where asked. */
function edited(
  { texts }: Pick<Written, "texts">,
  at: number,
  edit: (entry: Record<string, unknown> & { event: Record<string, unknown> }) => void,
  relinked = false,
): readonly string[] {
  const after = [...texts];
  const change = (index: number, work: (entry: never) => void) => {
    const entry = JSON.parse(after[index]!) as never;
    work(entry);
    after[index] = JSON.stringify(entry);
  };
  change(at, edit as never);
  if (!relinked) return after;
  for (let index = at + 1; index < after.length; index += 1) {
    change(index, (entry: { previous: string }) => {
      entry.previous = sha256(after[index - 1]!);
    });
  }
  return after;
}

const told = written(
  event(claim({ terms: idempotent }), { at: 1 }),
  renew(20),
  renew(40),
  event({ type: "ask", requestId: requestId("r2"), fingerprint: intent().fingerprint }, { at: 50 }),
  event(settle(1, { id: 7 }), { at: 60 }),
);

const lives: readonly (readonly [name: string, events: readonly Event[]])[] = [
  ["claimed and settled", [event(claim(), { at: 1 }), event(settle(1), { at: 2 })]],
  ["renewed in the end", [event(claim(), { at: 1 }), renew(5), renew(50)]],
  ["renewed, then in doubt", [event(claim(), { at: 1 }), renew(50), event(doubt(1), { at: 3 })]],
  [
    "run again, by a clock that went back",
    [
      event(claim({ terms: keyed(1_000) }), { at: 50 }),
      event(doubt(1), { at: 60 }),
      event(claim({ terms: keyed(1_000), requestId: requestId("r2") }), { at: 7 }),
      event({ type: "renew", fence: 2, leaseUntil: 400 }, { at: 90 }),
      event(settle(2), { at: 8 }),
      event({ type: "late_result", fence: 1, valueForm: "omitted" }, { at: 9 }),
    ],
  ],
  [
    "voted on, and rejected",
    [
      event(open(majority({ quorum: 2 }), { allow: ["YES"] }), { at: 1 }),
      event(vote("a", "NO"), { at: 2 }),
      event(vote("b", "NO"), { at: 3 }),
      event(vote("c", "YES"), { at: 4 }),
    ],
  ],
  [
    "approved, given back, resolved",
    [
      event(open(approval(), { intent: intent() }), { at: 1 }),
      event(approve(right), { by: "ann", at: 2 }),
      event(claim(), { at: 3 }),
      event(release(1), { at: 4 }),
      event(claim(), { at: 5 }),
      event(doubt(2), { at: 6 }),
      event(happened(2), { at: 7 }),
    ],
  ],
  [
    "queued, put off, run in a transaction that was lost, and again",
    [
      event(open(approval(), { intent: queued() }), { at: 1 }),
      event(approve(right), { by: "ann", at: 2 }),
      event(claim({ terms: transactional }), { at: 3 }),
      event(release(1, false, 90), { at: 4 }),
      event(claim({ terms: transactional }), { at: 95 }),
      event(doubt(2), { at: 96 }),
      event(claim({ terms: transactional, leaseUntil: 120 }), { at: 97 }),
      event({ type: "lease_ended" }, { at: 120 }),
      event(settle(3), { at: 121 }),
    ],
  ],
  ...[Number.NaN, Number.POSITIVE_INFINITY, -1].map((retryAt): (typeof lives)[number] => [
    `queued, and put off until ${retryAt}`,
    [event(claim({ intent: queued() })), event(release(1, false, retryAt), { at: 4 })],
  ]),
  [
    "with members that engines list in an order of their own",
    [
      event(claim({ intent: intent({ b: 1, "10": [], "2": { é: "\u2028" }, a: -0.5 }) })),
      event(settle(1, [1e21, "\ud83e\uddea", { "7": 1, "3": null }])),
    ],
  ],
];

describe("a journal as it was written", () => {
  test.each(lives)("gives the stored record: %s", (_name, events) => {
    const life = written(...events);
    const stored = { case: life.case, head: life.head };
    expect(differences(whole(life), stored)).toEqual([]);
    // As a store gives it back.
    const { case: kase } = JSON.parse(JSON.stringify(stored)) as typeof stored;
    expect(differences(whole(life), { case: kase, head: life.head })).toEqual([]);
  });

  test("tells which requests it bound", () => {
    const events = told.texts.map((text) => readEntry(text).event);
    expect(events.map(requestOf)).toEqual(["r1", "r2", null]);
    expect(requestOf(event(open(approval())))).toBe(null);
  });
});

describe("an entry", () => {
  test.each(["", "{", "null", "7", "[]", "{}", '{"sequence":1,"previous":null,"version":1}'])(
    "that is none (%j) is a fault, not an error",
    (text) => {
      expect(replayed([text])).toMatch(/^0 /);
    },
  );

  test("that is no JSON can't be read", () => {
    expect(replayed([`${told.texts[0]} x`])).toBe("0 unreadable");
    expect(replayed(["null"])).toBe("0 unreadable");
  });

  test("without an event can't be read", () => {
    expect(replayed(edited(told, 0, (entry) => Reflect.deleteProperty(entry, "event")))).toBe(
      "0 unreadable",
    );
  });

  test("whose event lacks what the machine asks for can't be read", () => {
    const life = written(event(open(majority({ quorum: 2 }))), event(vote("a", "YES")));
    expect(replayed(edited(life, 1, ({ event: e }) => Reflect.deleteProperty(e, "signal")))).toBe(
      "1 unreadable",
    );
  });

  test("that is missing, twice there or out of its place", () => {
    const [first, second, third] = told.texts as [string, string, string];
    expect(replayed([second, third])).toBe("0 misplaced");
    expect(replayed([first, third])).toBe("1 misplaced");
    expect(replayed([first, first, second])).toBe("1 misplaced");
    expect(replayed([first, third, second])).toBe("1 misplaced");
  });

  test("that was changed after the next one was written", () => {
    const texts = edited(told, 0, ({ event: e }) => {
      e.by = "eve";
    });
    expect(replayed(texts)).toBe("1 unlinked");
  });

  test("whose own link was changed", () => {
    const change = (entry: Record<string, unknown>) => {
      entry.previous = "0".repeat(64);
    };
    expect(replayed(edited(told, 1, change))).toBe("1 unlinked");
    expect(replayed(edited(told, 0, change))).toBe("0 unlinked");
  });

  test("of another case, of another namespace, or under another format", () => {
    for (const [member, value] of [
      ["caseId", "case-2"],
      ["namespace", "else"],
      ["v", 2],
      ["state", "SETTLED"],
      ["extra", 1],
    ] as const) {
      const texts = edited(told, 0, (entry) => {
        entry[member] = value;
      });
      expect(replayed(texts), member).toBe("0 different");
    }
  });

  test("whose members stand in another order", () => {
    const { v, ...rest } = readEntry(told.texts[0]!);
    expect(replayed([JSON.stringify({ ...rest, v })])).toBe("0 different");
  });

  test("that tells of what can't have happened", () => {
    const relinked = (edit: Parameters<typeof edited>[2]) => edited(told, 2, edit, true);
    expect(
      replayed(
        relinked(({ event: e }) => {
          e.fence = 2;
        }),
      ),
    ).toBe("2 refused");
    expect(
      replayed(
        relinked(({ event: e }) => {
          e.type = "explode";
        }),
      ),
    ).toBe("2 refused");
  });

  test("that tells of a renewal, since those aren't journaled", () => {
    const life = written(event(claim(), { at: 1 }));
    const before = whole(life);
    const renewal = renew(5);
    const next = reached(before.case, renewal);
    const text = entryText({ ...next, entries: 2 }, renewal, before.head);
    expect(replayed([...life.texts, text])).toBe("1 refused");
  });

  test("whose version can't come next", () => {
    const at = (life: Written, index: number, version: number) =>
      replayed(
        edited(
          life,
          index,
          (entry) => {
            entry.version = version;
          },
          true,
        ),
      );
    // Two renewals came before the second entry: versions 2 and 3.
    expect(at(told, 1, 4)).toMatchObject({ renewed: true });
    expect(at(told, 1, 1)).toBe("1 different");
    expect(at(told, 1, 2.5)).toBe("1 different");
    expect(at(told, 0, 2)).toBe("0 different");
    expect(at(told, 0, 0)).toBe("0 different");
    const open_ = written(event(open(majority({ quorum: 2 }))), event(vote("a", "YES")));
    expect(at(open_, 1, 2)).toMatchObject({ renewed: false });
    expect(at(open_, 1, 3)).toBe("1 different");
  });
});

describe("which of two entries that aren't linked was changed", () => {
  const { texts, head } = told;
  const nonce = ({ event: e }: { event: Record<string, unknown> }) => {
    e.nonce = "other";
  };
  const previous = (entry: Record<string, unknown>) => {
    entry.previous = "0".repeat(64);
  };

  test("the earlier one, where what follows on the later one still names it", () => {
    expect(changedEntry(edited({ texts }, 0, nonce), 1, head, sha256)).toBe(0);
    expect(changedEntry(edited({ texts }, 1, nonce), 2, head, sha256)).toBe(1);
  });

  test("the later one, where nothing names it any more", () => {
    expect(changedEntry(edited({ texts }, 1, previous), 1, head, sha256)).toBe(1);
    expect(changedEntry(edited({ texts }, 2, previous), 2, head, sha256)).toBe(2);
    expect(
      changedEntry([texts[0]!, edited({ texts }, 1, previous)[1]!, "{"], 1, head, sha256),
    ).toBe(1);
  });

  test("the first one has none before it", () => {
    expect(changedEntry([texts[1]!, texts[2]!], 0, head, sha256)).toBe(0);
  });
});

describe("a record", () => {
  const differ = (life: Written, change: (kase: Case) => object, head = life.head) =>
    differences(whole(life), { case: { ...life.case, ...change(life.case) } as Case, head });
  const settled = written(event(claim(), { at: 1 }), event(settle(1), { at: 2 }));
  const running = written(event(claim(), { at: 1 }));
  const renewedOnce = written(event(claim(), { at: 1 }), renew(20));

  test("that says something else is named with the members that do", () => {
    expect(differ(settled, () => ({}))).toEqual([]);
    const receipt = { ...(settled.case as Settled).receipt, value: "other" };
    expect(differ(settled, () => ({ receipt }))).toEqual(["receipt"]);
    expect(differ(settled, () => ({ entries: 3, createdAt: 0 }))).toEqual(["entries", "createdAt"]);
    expect(differ(settled, () => ({ past: null }))).toEqual(["past"]);
    expect(differ(settled, () => ({}), "0".repeat(64))).toEqual(["head"]);
    expect(differ(settled, () => ({ entries: 3 }), "0".repeat(64))).toEqual(["head", "entries"]);
  });

  test("that says the same in another order is not the same", () => {
    const { namespace, ...rest } = settled.case;
    const kase = { ...rest, namespace } as Case;
    expect(differences(whole(settled), { case: kase, head: settled.head })).toEqual([
      "the order of its members",
    ]);
  });

  test("without a journal is none", () => {
    expect(differences(replayOf("ns", absent.caseId), settled)).toEqual([
      "head",
      "state",
      "version",
      "entries",
      "createdAt",
      "updatedAt",
      "deliberation",
      "intent",
      "receipt",
    ]);
  });

  test("may have versions that renewals took, while the claim stands", () => {
    const later = { version: 3, updatedAt: 30, leaseUntil: 200 };
    expect(differ(running, () => later)).toEqual([]);
    expect(differ(running, () => ({ ...later, version: 0 }))).toEqual([
      "version",
      "updatedAt",
      "leaseUntil",
    ]);
    expect(differ(settled, () => ({ version: 3 }))).toEqual(["version"]);
  });

  test("has its times from its entries, where nothing was renewed", () => {
    expect(differ(running, () => ({ updatedAt: 2 }))).toEqual(["updatedAt"]);
    expect(differ(running, () => ({ leaseUntil: 101 }))).toEqual(["leaseUntil"]);
    expect(differ(settled, () => ({ updatedAt: 3 }))).toEqual(["updatedAt"]);
  });

  test("has times that only grew, where something was", () => {
    expect(differ(renewedOnce, () => ({ updatedAt: 25, leaseUntil: 130 }))).toEqual([]);
    expect(differ(renewedOnce, () => ({ updatedAt: 0 }))).toEqual(["updatedAt"]);
    expect(differ(renewedOnce, () => ({ leaseUntil: 99 }))).toEqual(["leaseUntil"]);
  });

  test("keeps what a renewal before its last entry may have made of its times", () => {
    const asked = written(
      event(claim(), { at: 1 }),
      renew(20),
      event(
        { type: "ask", requestId: requestId("r2"), fingerprint: intent().fingerprint },
        { at: 2 },
      ),
    );
    expect(differ(asked, () => ({ updatedAt: 30, leaseUntil: 200 }))).toEqual([]);
    expect(differ(asked, () => ({ updatedAt: 1 }))).toEqual(["updatedAt"]);
    const done = written(event(claim(), { at: 1 }), renew(20), event(settle(1), { at: 2 }));
    expect(differ(done, () => ({ updatedAt: 30 }))).toEqual([]);
    expect(differ(done, () => ({ version: 4 }))).toEqual(["version"]);
  });

  test("has the lease of its latest claim, whatever an earlier one was renewed to", () => {
    const again = (...more: readonly Event[]) =>
      written(
        event(claim({ terms: idempotent }), { at: 1 }),
        renew(20),
        event(doubt(1), { at: 30 }),
        event(claim({ terms: idempotent, leaseUntil: 300 }), { at: 40 }),
        ...more,
      );
    expect(differ(again(), () => ({ leaseUntil: 301 }))).toEqual(["leaseUntil"]);
    expect(differ(again(), () => ({ updatedAt: 41 }))).toEqual([]);
    const asked = event(
      { type: "ask", requestId: requestId("r2"), fingerprint: intent().fingerprint },
      { at: 50 },
    );
    expect(differ(again(asked), () => ({ leaseUntil: 301 }))).toEqual(["leaseUntil"]);
  });

  test("of another state has no lease to compare", () => {
    const { leaseUntil: _, ...rest } = running.case as Case & { leaseUntil: number };
    const kase = { ...rest, state: "FINAL" } as unknown as Case;
    expect(differences(whole(running), { case: kase, head: running.head })).toEqual([
      "state",
      "leaseUntil",
    ]);
    const released = written(event(claim(), { at: 1 }), event(release(1), { at: 2 }));
    const { version, entries, updatedAt } = released.case;
    const held = { ...running.case, version, entries, updatedAt };
    expect(differences(whole(released), { case: held, head: released.head })).toEqual([
      "state",
      "past",
      "runAt",
      "claim",
      "leaseUntil",
    ]);
    const ended = { ...settled.case, state: "EXECUTING", leaseUntil: 7 } as unknown as Case;
    expect(differences(whole(settled), { case: ended, head: settled.head })).toEqual([
      "state",
      "leaseUntil",
    ]);
  });
});

test("a tombstone is whole while its own hash fits", () => {
  const { case: kase, head } = written(event(claim()), event(settle(1)));
  const remains = { receiptHash: head, journalHash: head, requests: [requestId("r1")] };
  const stone = retired(kase as Settled, remains);
  const own = sha256(JSON.stringify(stone));
  expect(isWhole(stone, own, sha256)).toBe(true);
  expect(isWhole({ ...stone, effect: "none" }, own, sha256)).toBe(false);
  expect(isWhole(stone, head, sha256)).toBe(false);
});
