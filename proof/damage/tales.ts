import type { Happening } from "../../src/core/event.ts";
import type { Fingerprint, RequestId } from "../../src/core/identity.ts";
import type { Json } from "../../src/core/json.ts";
import { approval, immediate, manual, type Policy, threshold } from "../../src/core/policy.ts";
import type { EffectTerms } from "../../src/core/receipt.ts";

/** What happens to one case, and which request id each step binds. */
export interface Tale {
  readonly id: string;
  readonly steps: readonly (readonly [happening: Happening, bind: string | null])[];
}

/** Every state, each in all the forms in which its record and its journal differ. */
export function tales(name: string, start: number): readonly Tale[] {
  const told: readonly (readonly [id: string, steps: Tale["steps"]])[] = [
    ["open", [opened(voted)]],
    [
      "open-asked",
      [opened(approval({ from: ["ana"], expiresIn: 900_000 }), { n: 1 }, `ask-${name}-1`)],
    ],
    ["open-own", [opened(approval(), { n: 2 }, `${name}-open-own`)]],
    ["provisional", [opened(voted), said("ana", "YES")]],
    ["reconciling", [opened(voted), said("ana", "YES"), said("bob", "NO")]],
    ["final", [opened(immediate(), [])]],
    ["final-bare", [opened(immediate())]],
    ["final-decided", [opened(manual()), said("ana", "YES"), decided("YES"), said("late", "NO")]],
    ["final-released", [claimed(`${name}-final-released`), released]],
    ["executing", [claimed(`${name}-executing`)]],
    ["executing-renewed", [claimed(`req-${name}-1`), renewed(1), renewed(2)]],
    [
      "executing-renewed-asked",
      [claimed(`req-${name}-2`), renewed(1), asked(`req-${name}-3`), renewed(2)],
    ],
    ["doubt", [claimed(`${name}-doubt`), doubted]],
    ["doubt-keyed", [claimed(`req-${name}-4`, keyed), doubted]],
    ["doubt-renewed", [claimed(`${name}-doubt-renewed`, keyed), renewed(1), doubted]],
    ["again", [claimed(`${name}-again`, keyed), doubted, claimed(`req-${name}-5`, keyed)]],
    [
      "again-renewed",
      [
        claimed(`${name}-again-renewed`, keyed),
        renewed(1),
        doubted,
        claimed(`req-${name}-6`, keyed),
        [{ type: "renew", fence: 2, leaseUntil: start + 700_000 }, null],
      ],
    ],
    [
      "doubt-probed",
      [
        claimed(`${name}-doubt-probed`, probeable),
        doubted,
        [
          { type: "probed", fence: 1, found: { answer: "unknown", probeAt: start + 500_000 } },
          null,
        ],
      ],
    ],
    ["settled", [claimed(`${name}-settled`), settled({ id: `msg-${name}`, cents: 500 })]],
    ["settled-nothing", [claimed(`req-${name}-7`), settled()]],
    [
      "settled-asked",
      [
        claimed(`${name}-settled-asked`),
        settled("once"),
        asked(`req-${name}-8`),
        asked(`req-${name}-9`),
      ],
    ],
    [
      "settled-resolved",
      [
        claimed(`${name}-settled-resolved`),
        doubted,
        [
          { type: "resolve", fence: 1, happened: true, evidence: "mail", valueForm: "omitted" },
          null,
        ],
      ],
    ],
    [
      "settled-late",
      [
        claimed(`${name}-settled-late`),
        settled(1),
        [{ type: "late_result", fence: 1, value: 2, valueForm: "exact" }, null],
      ],
    ],
    ["settled-renewed", [claimed(`req-${name}-10`), renewed(1), renewed(2), settled([1, 2])]],
    ["void", [opened(immediate(), 1), [{ type: "withdraw", note: "not now" }, null]]],
    [
      "void-denied",
      [
        opened(approval(), { n: 3 }, `ask-${name}-2`),
        [{ type: "deny", fingerprint, note: null }, null],
      ],
    ],
    [
      "void-not-performed",
      [
        claimed(`req-${name}-11`),
        [{ type: "release", fence: 1, reason: "declined", final: true, retryAt: null }, null],
      ],
    ],
  ];
  return told.map(([id, steps]) => ({ id: `${name}-${id}`, steps }));

  function renewed(times: number): Step {
    return [{ type: "renew", fence: 1, leaseUntil: start + 600_000 + times }, null];
  }

  function claimed(requestId: string, terms: EffectTerms = { class: "opaque" }): Step {
    return claimBy(requestId, terms, start + 600_000);
  }
}

type Step = Tale["steps"][number];

const fingerprint = "f".repeat(64) as Fingerprint;
const voted = threshold({ share: 0.8, quorum: 3 });
const keyed = { class: "keyed", ttlMs: 60_000, settlingMs: null } as const;
const probeable = { class: "probeable", settlingMs: 10 } as const;

const released: Step = [
  { type: "release", fence: 1, reason: "refused", final: false, retryAt: null },
  null,
];
const doubted: Step = [{ type: "doubt", fence: 1, reason: "threw", error: "socket hang up" }, null];

/** `bind`: an ask that opens a case binds its request id, of which the entry doesn't tell. */
function opened(policy: Policy, payload?: Json, bind: string | null = null): Step {
  const intent =
    payload === undefined
      ? null
      : { action: "send", payload, fingerprint, proposer: "agent", queued: null };
  return [{ type: "open", policy, outcomes: null, allow: null, intent }, bind];
}

function claimBy(requestId: string, terms: EffectTerms, leaseUntil: number): Step {
  const payload = { to: "c123@example.com", cents: requestId.length };
  const intent = { action: "pay", payload, fingerprint, proposer: "agent", queued: null };
  const claim = {
    type: "claim",
    requestId: requestId as RequestId,
    intent,
    terms,
    leaseUntil,
  } as const;
  return [{ ...claim, opens: true }, requestId];
}

function settled(value?: Json): Step {
  const returned = value === undefined ? {} : { value };
  return [{ type: "settle", fence: 1, valueForm: "exact", ...returned }, null];
}

function asked(requestId: string): Step {
  return [{ type: "ask", requestId: requestId as RequestId, fingerprint }, requestId];
}

function said(source: string, outcome: string): Step {
  const signal = {
    signalId: `${source}-${outcome}`,
    source,
    outcome,
    confidencePpm: 900_000,
    at: 1,
  };
  return [{ type: "signal", signal }, null];
}

function decided(outcome: string): Step {
  return [{ type: "decide", outcome, reason: "seen" }, null];
}
