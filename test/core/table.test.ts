import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Absent, Case } from "../../src/core/case.ts";
import type { EventType } from "../../src/core/event.ts";
import type { Fingerprint, RequestId } from "../../src/core/identity.ts";
import type { Refusal, Transition } from "../../src/core/refusal.ts";
import { transition } from "../../src/core/transition.ts";

import { events, states } from "./table-axes.ts";

const made = () =>
  states.flatMap(([state, kase]) =>
    events.map(([name, next]) => ({ state, kase, name, next, answer: transition(kase, next) })),
  );
let table: ReturnType<typeof made> | undefined;

/** Made by the first test that asks: a machine that throws fails a test, not the loading of this file. */
function cells(): ReturnType<typeof made> {
  table ??= made();
  return table;
}

test("the whole state × event table is as printed in table.txt", () => {
  const file = new URL("table.txt", import.meta.url);
  const text = printed();
  if (process.env.UPDATE_TABLE === "1") writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
});

test("every pair has one answer, and a refusal has no next case", () => {
  for (const { state, name, answer } of cells()) {
    const members = answer.ok ? ["next", "ok"] : ["ok", "refusal"];
    expect(Object.keys(answer).sort(), `${state} + ${name}`).toEqual(members);
  }
});

test("the table has every state and every event", () => {
  const eventTypes: Record<EventType, true> = {
    open: true,
    signal: true,
    approve: true,
    deny: true,
    decide: true,
    expire: true,
    withdraw: true,
    ask: true,
    claim: true,
    renew: true,
    settle: true,
    release: true,
    doubt: true,
    lease_ended: true,
    probed: true,
    resolve: true,
    late_result: true,
  };
  const caseStates: Record<(Case | Absent)["state"], true> = {
    ABSENT: true,
    OPEN: true,
    RESOLVED_PROVISIONAL: true,
    IN_RECONCILIATION: true,
    FINAL: true,
    EXECUTING: true,
    IN_DOUBT: true,
    SETTLED: true,
    VOID: true,
    RETIRED: true,
  };
  expect(new Set(events.map(([, { type }]) => type))).toEqual(new Set(Object.keys(eventTypes)));
  expect(new Set(states.map(([, { state }]) => state))).toEqual(new Set(Object.keys(caseStates)));
});

test("no refusal is dead: the table gives each but the bound, which limits.test.ts reaches", () => {
  const given = new Set(cells().flatMap(({ answer }) => (answer.ok ? [] : [answer.refusal])));
  const refusals: Record<Exclude<Refusal, "too_many">, true> = {
    payload_conflict: true,
    policy_conflict: true,
    signal_conflict: true,
    retired: true,
    absent: true,
    settled: true,
    void: true,
    in_doubt: true,
    busy: true,
    not_final: true,
    already_final: true,
    not_executing: true,
    not_in_doubt: true,
    stale_fence: true,
    lease_running: true,
    too_early: true,
    expired: true,
    no_intent: true,
    no_votes: true,
    no_approvals: true,
    not_eligible: true,
    unknown_outcome: true,
    unknown_source: true,
    unchanged: true,
  };
  expect([...given].sort()).toEqual(Object.keys(refusals).sort());
});

describe("in every cell of the table", () => {
  const accepted = () =>
    cells().flatMap((cell) =>
      cell.answer.ok
        ? [{ ...cell, following: cell.answer.next, where: `${cell.state} + ${cell.name}` }]
        : [],
    );

  test("an accepted event adds one version, and one entry unless it is a renewal", () => {
    for (const { kase, next, following, where } of accepted()) {
      const { version, entries } = kase.state === "ABSENT" ? { version: 0, entries: 0 } : kase;
      expect(following.version, where).toBe(version + 1);
      expect(following.entries, where).toBe(next.type === "renew" ? entries : entries + 1);
      // What a case knows of time never goes back.
      const known = kase.state === "ABSENT" ? next.at : kase.updatedAt;
      expect(following.updatedAt, where).toBe(Math.max(known, next.at));
      expect([following.namespace, following.caseId], where).toEqual([kase.namespace, kase.caseId]);
    }
  });

  test("an intent, once there, never changes", () => {
    for (const { kase, following, where } of accepted()) {
      if (!("intent" in kase) || kase.intent === null) continue;
      expect(following, where).toMatchObject({ intent: kase.intent });
    }
  });

  test("a case is due for workers where it is queued and FINAL, and never before it became so", () => {
    for (const { kase, next, following, where } of accepted()) {
      if (following.state !== "FINAL") continue;
      const { runAt } = following;
      expect(runAt !== null, where).toBe((following.intent?.queued ?? null) !== null);
      const stays = kase.state === "FINAL" && kase.intent !== null;
      if (stays) expect(runAt, where).toBe(kase.runAt);
      else if (runAt !== null) expect(runAt, where).toBeGreaterThanOrEqual(next.at);
    }
  });

  test("a transactional effect is never in doubt", () => {
    const { length } = accepted().filter(({ kase, following, where }) => {
      if (kase.state !== "EXECUTING" || kase.claim.terms.class !== "transactional") return false;
      expect(following.state, where).not.toBe("IN_DOUBT");
      return following.state === "FINAL";
    });
    // Two cases; three releases, a doubt, and a lease that ended.
    expect(length).toBe(10);
  });

  test("an end stays, with its receipt", () => {
    for (const { kase, following, where } of accepted()) {
      if (kase.state !== "SETTLED" && kase.state !== "VOID") continue;
      expect(following, where).toMatchObject({ state: kase.state, receipt: kase.receipt });
    }
  });

  test("the verdict of a case that is FINAL or beyond never changes", () => {
    const open: readonly string[] = ["ABSENT", "OPEN", "RESOLVED_PROVISIONAL", "IN_RECONCILIATION"];
    for (const { kase, following, where } of accepted()) {
      if (open.includes(kase.state) || !("deliberation" in kase)) continue;
      if (kase.deliberation === null) continue;
      expect(following, where).toHaveProperty("deliberation.verdict", kase.deliberation.verdict);
    }
  });

  test("the case that came in is left as it was", () => {
    for (const { kase, next, state, name } of cells()) {
      const text = JSON.stringify([kase, next]);
      transition(kase, next);
      expect(JSON.stringify([kase, next]), `${state} + ${name}`).toBe(text);
    }
  });
});

/** One section a state, one line an event. */
function printed(): string {
  const width = Math.max(...events.map(([name]) => name.length));
  const sections = states.map(([state, kase]) => {
    const own = cells().filter((cell) => cell.state === state);
    const lines = own.map(({ name, answer }) => `  ${name.padEnd(width)}  ${told(kase, answer)}`);
    return [`${state}`, ...lines, ""].join("\n");
  });
  return sections.join("\n");
}

function told(before: Case | Absent, answer: Transition): string {
  if (!answer.ok) return `refused: ${answer.refusal}`;
  const { next } = answer;
  return [next.state, ...details(before, next)].join(", ");
}

function details(before: Case | Absent, next: Case): readonly string[] {
  switch (next.state) {
    case "OPEN":
    case "RESOLVED_PROVISIONAL":
    case "IN_RECONCILIATION":
      return [bound(before, next), heardIn(before, next)].flat();
    case "FINAL": {
      const outcome = next.deliberation?.verdict.outcome;
      const given = next.past === null ? [] : [`claim ${next.past.claim.fence} given back`];
      const names = outcome == null ? [] : [`on ${outcome}`];
      const due = next.runAt === null ? [] : [`due at ${next.runAt}`];
      return [...names, ...given, ...due, ...bound(before, next), ...heardIn(before, next)];
    }
    case "EXECUTING":
      return [
        `fence ${next.claim.fence}`,
        `lease until ${next.leaseUntil}`,
        ...(next.claim.earlierDoubt === null ? [] : ["an earlier one in doubt"]),
        ...bound(before, next),
        ...heardIn(before, next),
      ];
    case "IN_DOUBT": {
      const { reason, probes, probeAt } = next.doubt;
      const ask = probeAt === null ? [] : [`probe from ${probeAt}, ${probes} unknown`];
      const behind = next.claim.earlierDoubt === null ? [] : ["an earlier one too"];
      return [reason, ...ask, ...behind, ...heardIn(before, next)];
    }
    case "SETTLED": {
      const { source, fence } = next.receipt;
      return [`once, by ${source}, fence ${fence}`, ...heardIn(before, next)];
    }
    case "VOID":
      return [`none, ${next.receipt.reason}`, ...heardIn(before, next)];
    case "RETIRED":
      return [];
  }
}

function bound(before: Case | Absent, next: Case): readonly string[] {
  const old = fingerprintOf(before);
  const now = fingerprintOf(next);
  if (old === now) return [];
  const by = queuedBy(next);
  return [`bound to ${now}${by === null ? "" : `, queued by ${by}`}`];
}

function queuedBy(kase: Case): RequestId | null {
  return kase.state === "RETIRED" ? null : (kase.intent?.queued ?? null);
}

function fingerprintOf(kase: Case | Absent): Fingerprint | null {
  return kase.state !== "ABSENT" && kase.state !== "RETIRED"
    ? (kase.intent?.fingerprint ?? null)
    : null;
}

/** What was added to the evidence; "kept" where nothing but the journal changed. */
function heardIn(before: Case | Absent, next: Case): readonly string[] {
  const count = (kase: Case | Absent, part: "signals" | "approvals" | "late") =>
    "deliberation" in kase && kase.deliberation !== null ? kase.deliberation[part].length : 0;
  const added = (["signals", "approvals", "late"] as const).flatMap((part) =>
    count(next, part) > count(before, part) ? [`${part} ${count(next, part)}`] : [],
  );
  const same =
    before.state === next.state && added.length === 0 && bound(before, next).length === 0;
  return same && unmoved(before, next) ? ["kept"] : added;
}

function unmoved(before: Case | Absent, next: Case): boolean {
  const rest = (kase: Case | Absent) => ({ ...kase, version: 0, entries: 0, updatedAt: 0 });
  return JSON.stringify(rest(before)) === JSON.stringify(rest(next));
}
