import type { Absent, Case } from "../core/case.ts";
import { entryText } from "../core/entry.ts";
import type { Event, Happening } from "../core/event.ts";
import type { CaseId, Fingerprint, RequestId } from "../core/identity.ts";
import type { Json } from "../core/json.ts";
import { approval, immediate, manual, threshold } from "../core/policy.ts";
import type { Step } from "../core/store.ts";
import { transition } from "../core/transition.ts";
import { ensure } from "./law-check.ts";

/** Steps as the guard makes them: each through the machine, with its entry, linked to the one before. */
export interface Story {
  readonly namespace: string;
  readonly caseId: CaseId;
  readonly steps: readonly Step[];
}

export interface StoryOptions {
  readonly namespace?: string;
  /** The request id that the first step binds; default the case id. */
  readonly bind?: string | null;
  readonly at?: number;
  /** Says whose try it was: two stories of one case that race must not look alike. */
  readonly by?: string;
}

export const start = 1_700_000_000_000;

export function story(
  id: string,
  happenings: readonly Happening[],
  options: StoryOptions = {},
): Story {
  const { namespace = "default", bind = id, at = start, by = "law" } = options;
  const caseId = id as CaseId;
  const steps: Step[] = [];
  let before: Case | Absent = { state: "ABSENT", namespace, caseId };
  let head: string | null = null;
  for (const [index, happening] of happenings.entries()) {
    const event = { ...happening, at: at + index, by, nonce: `${by}-${id}-${index}` } as Event;
    const answer = transition(before, event);
    ensure(answer.ok, `(a story that the machine allows: ${id}, ${happening.type})`);
    const { next } = answer;
    const entry: string | null = happening.type === "renew" ? null : entryText(next, event, head);
    head = entry === null ? (head ?? "") : digest(entry);
    const request = index === 0 && bind !== null ? (bind as RequestId) : null;
    const expected: number = before.state === "ABSENT" ? 0 : before.version;
    steps.push({ expected, next, head, entry, bind: request });
    before = next;
  }
  return { namespace, caseId, steps };
}

/** 64 hex digits that differ with the text; the laws need no more of a hash. */
function digest(text: string): string {
  let words = "";
  for (let seed = 0; seed < 8; seed += 1) {
    let sum = seed;
    for (let index = 0; index < text.length; index += 1) {
      sum = (Math.imul(sum, 31) + text.charCodeAt(index)) | 0;
    }
    words += (sum >>> 0).toString(16).padStart(8, "0");
  }
  return words;
}

const fingerprint = "f".repeat(64) as Fingerprint;

export function claim(
  options: {
    payload?: Json;
    action?: string;
    opens?: boolean;
    leaseUntil?: number;
    terms?: Extract<Happening, { type: "claim" }>["terms"];
    queued?: RequestId | null;
  } = {},
): Happening {
  const { payload = { to: "a" }, action = "send", opens = true } = options;
  return {
    type: "claim",
    requestId: "request" as RequestId,
    intent: { action, payload, fingerprint, proposer: "agent", queued: options.queued ?? null },
    terms: options.terms ?? { class: "opaque" },
    leaseUntil: options.leaseUntil ?? start + 30_000,
    opens,
  };
}

export function settle(value?: Json): Happening {
  return {
    type: "settle",
    fence: 1,
    valueForm: "exact",
    ...(value === undefined ? {} : { value }),
  };
}

export function renew(index: number): Happening {
  return { type: "renew", fence: 1, leaseUntil: start + 30_000 + index };
}

export function open(
  policy: Extract<Happening, { type: "open" }>["policy"],
  terms: {
    payload?: Json;
    outcomes?: readonly string[];
    allow?: readonly string[];
    queued?: RequestId | null;
  } = {},
): Happening {
  const { payload, outcomes = null, allow = null, queued = null } = terms;
  const intent =
    payload === undefined
      ? null
      : { action: "send", payload, fingerprint, proposer: "agent", queued };
  return { type: "open", policy, outcomes, allow, intent };
}

export function signal(source: string, outcome: string): Happening {
  const vote = { signalId: `${source}-${outcome}`, source, outcome, confidencePpm: 900_000, at: 1 };
  return { type: "signal", signal: vote };
}

const release: Extract<Happening, { type: "release" }> = {
  type: "release",
  fence: 1,
  reason: "refused",
  final: false,
  retryAt: null,
};
const queued = "request" as RequestId;
const voted = threshold({ share: 0.8, quorum: 3, weights: { ana: 2, bob: 1, cy: 1 } });
const doubt: Extract<Happening, { type: "doubt" }> = {
  type: "doubt",
  fence: 1,
  reason: "threw",
  error: "socket hang up",
};
const keyed = { class: "keyed", ttlMs: 60_000, settlingMs: 500 } as const;

/** Queued, not performed, and put off: a worker may run it so many milliseconds after the start. */
export const putOff = (ms: number): readonly Happening[] => [
  claim({ queued }),
  { ...release, retryAt: start + ms },
];

/** Every state, each in all the forms in which its record differs. */
export function everyState(namespace = "default"): readonly Story[] {
  const scripts: readonly (readonly [id: string, happenings: readonly Happening[]])[] = [
    ["open", [open(voted)]],
    ["open-approval", [open(approval({ from: ["ana"], expiresIn: 9_000 }), { payload: { n: 1 } })]],
    ["provisional", [open(voted, { outcomes: ["YES", "NO"] }), signal("ana", "YES")]],
    ["reconciling", [open(voted, { allow: ["YES"] }), signal("ana", "YES"), signal("bob", "NO")]],
    ["final", [open(immediate(), { payload: [] })]],
    ["final-bare", [open(immediate())]],
    [
      "final-decided",
      [
        open(manual(), { outcomes: ["YES"] }),
        { type: "decide", outcome: "YES", reason: "seen" },
        signal("late", "YES"),
      ],
    ],
    ["final-released", [claim(), release]],
    ["final-queued", [open(immediate(), { payload: { to: "a" }, queued })]],
    ["final-put-off", putOff(5_000)],
    ["final-uncommitted", [claim({ terms: { class: "transactional" } }), doubt]],
    ["executing-queued", [claim({ queued, terms: { class: "transactional" } })]],
    ["executing", [claim()]],
    ["executing-renewed", [claim(), renew(1), renew(2)]],
    ["doubt", [claim(), doubt]],
    ["doubt-keyed", [claim({ terms: keyed }), { ...doubt, reason: "timed_out", error: null }]],
    ["executing-again", [claim({ terms: keyed }), doubt, claim({ terms: keyed, opens: false })]],
    [
      "doubt-probed",
      [
        claim({ terms: { class: "probeable", settlingMs: 0 } }),
        doubt,
        { type: "probed", fence: 1, found: { answer: "unknown", probeAt: start + 5_000 } },
      ],
    ],
    ["settled", [claim({ terms: { class: "idempotent" } }), settle({ id: "msg_1", b: 1, a: [2] })]],
    ["settled-transactional", [claim({ terms: { class: "transactional" } }), settle(1)]],
    ["settled-nothing", [claim(), settle()]],
    [
      "settled-resolved",
      [
        claim(),
        doubt,
        { type: "resolve", fence: 1, happened: true, evidence: "mail", valueForm: "omitted" },
      ],
    ],
    [
      "settled-asked",
      [claim(), settle(null), { type: "late_result", fence: 1, valueForm: "exact" }],
    ],
    ["void", [open(immediate(), { payload: 1 }), { type: "withdraw", note: "not now" }]],
    [
      "void-denied",
      [open(approval(), { payload: { n: 2 } }), { type: "deny", fingerprint, note: null }],
    ],
    [
      "void-rejected",
      [
        open(manual(), { outcomes: ["YES", "NO"], allow: ["YES"] }),
        { type: "decide", outcome: "NO", reason: "no" },
      ],
    ],
  ];
  return scripts.map(([id, happenings]) => story(id, happenings, { namespace, by: "ana" }));
}

/** JSON that is easily lost or bent on its way. */
export const awkwardJson: readonly Json[] = [
  null,
  true,
  0,
  -1,
  0.1,
  1e-7,
  1e21,
  5e-324,
  1.7976931348623157e308,
  9_007_199_254_740_991,
  "",
  " ",
  "null",
  "'; DROP TABLE cases; --",
  "\0\u0001\t\r\n\u2028\u2029\ufeff\u007f",
  '"\\/',
  "e\u0301 \u00e9 \ufb01 \u{1f9ea}\u200d\u{1f525} \u202eabc",
  [],
  {},
  [[[[[]]]]],
  { "": "", "2": 1, "10": 2, b: 1, a: 2, constructor: 1, toString: null, é: { "\0": [] } },
  "x".repeat(200_000),
  Array.from({ length: 2_000 }, (_, index) => index / 3),
];
