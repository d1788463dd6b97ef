import {
  all,
  any,
  approval,
  majority,
  manual,
  threshold,
  unanimous,
} from "../../../src/core/policy.ts";
import type { Signal } from "../../../src/core/signal.ts";
import { idempotent, keyed, opaque, probeable, transactional } from "../samples.ts";
import type { Opening, Scenario } from "./world.ts";

const twoAndAStranger = [
  { requestId: "r1", payload: "p" },
  { requestId: "r2", payload: "p" },
  { requestId: "r3", payload: "q" },
] as const;

const plain: Scenario = {
  name: "opaque",
  terms: opaque,
  workers: twoAndAStranger,
  opening: null,
  ticks: 2,
  claims: 3,
  leaseTicks: 1,
  signals: [],
  people: [],
  decisions: [],
  withdraw: true,
  queued: [],
};

/** One message: a source's vote, said at an instant of its own. */
const says = (source: string, outcome: string, at: number): Signal => ({
  signalId: `${source}${at}`,
  source,
  outcome,
  confidencePpm: 1_000_000,
  at,
});

const deliberating = (
  name: string,
  opening: Partial<Opening>,
  rest: Partial<Scenario>,
): Scenario => ({
  ...plain,
  name,
  opening: { policy: manual(), outcomes: ["YES", "NO"], allow: ["YES"], intent: true, ...opening },
  workers: [twoAndAStranger[0], twoAndAStranger[2]],
  ticks: 0,
  claims: 1,
  withdraw: false,
  ...rest,
});

/** a and b change their minds to and fro; c speaks once, for NO. */
const undecidedSources = [
  says("a", "YES", 1),
  says("a", "NO", 2),
  says("a", "YES", 3),
  says("b", "NO", 1),
  says("b", "YES", 2),
  says("c", "NO", 1),
];

export const scenarios = {
  opaque: { ...plain, ticks: 3, claims: 4 },
  keyed: {
    ...plain,
    name: "keyed",
    terms: keyed(2),
    ticks: 3,
    workers: twoAndAStranger.slice(0, 2),
  },
  keyedProbed: {
    ...plain,
    name: "keyed with a probe",
    terms: keyed(2, 1),
    ticks: 3,
    workers: twoAndAStranger.slice(0, 2),
  },
  keyedMixed: {
    ...plain,
    name: "keyed, where a later release declares it idempotent",
    terms: keyed(2),
    ticks: 3,
    workers: [
      { requestId: "r1", payload: "p" },
      { requestId: "r2", payload: "p", declares: idempotent },
    ],
  },
  probeable: { ...plain, name: "probeable", terms: probeable(1), ticks: 3, claims: 4 },
  idempotent: { ...plain, name: "idempotent", terms: idempotent },
  transactional: { ...plain, name: "transactional", terms: transactional, ticks: 3 },
  keyedThenTransactional: {
    ...plain,
    name: "keyed, where a later release declares it transactional",
    terms: keyed(2),
    ticks: 3,
    workers: [
      { requestId: "r1", payload: "p" },
      { requestId: "r2", payload: "p", declares: transactional },
    ],
  },
  queued: { ...plain, name: "queued by the first to claim it, or by nobody", queued: ["r1"] },
  queuedTransactional: {
    ...plain,
    name: "queued, transactional",
    terms: transactional,
    queued: ["r1", "r2"],
  },
  queuedFirst: deliberating(
    "queued as it is opened, and decided",
    {},
    { decisions: ["YES", "NO"], ticks: 2, claims: 2, withdraw: true, queued: ["pat", "r9"] },
  ),
  queuedLater: deliberating(
    "decided, and queued before or after",
    { intent: false },
    {
      decisions: ["YES", "NO"],
      signals: [says("a", "YES", 1)],
      ticks: 2,
      claims: 2,
      withdraw: true,
      queued: ["r9"],
    },
  ),
  voted: deliberating(
    "voted, 2 of 3 sources",
    { policy: threshold({ share: 0.66, quorum: 3, weights: { a: 1, b: 1, c: 1 } }), intent: false },
    { signals: undecidedSources, decisions: ["YES", "NO", "BANANA"] },
  ),
  votedTwo: deliberating(
    "voted by two, who agree or not",
    { policy: unanimous({ quorum: 2 }) },
    {
      signals: [says("a", "YES", 1), says("a", "NO", 2), says("b", "YES", 2), says("b", "NO", 1)],
      claims: 2,
      ticks: 1,
      withdraw: true,
    },
  ),
  majority: deliberating(
    "majority, any outcome permits it",
    { policy: majority({ quorum: 2 }), outcomes: null, allow: null, intent: false },
    {
      signals: [says("a", "YES", 1), says("b", "NO", 1), says("c", "YES", 1), says("c", "NO", 2)],
      decisions: ["NO", "BANANA"],
    },
  ),
  approved: deliberating(
    "approved by two people, in time",
    { policy: approval({ need: 2, from: ["ann", "ben", "pat"], expiresIn: 1 }) },
    { people: ["ann", "ben", "pat", "eve"], ticks: 2, claims: 2, withdraw: true },
  ),
  approvedThenDecided: deliberating(
    "approved in time, and decided at any time",
    { policy: all(approval({ from: ["ann", "pat"], expiresIn: 1 }), manual()) },
    { people: ["ann", "pat"], decisions: ["YES", "NO"], ticks: 2 },
  ),
  approvedOrDecided: deliberating(
    "approved in time, or else decided",
    {
      policy: any(
        approval({ from: ["ann"], expiresIn: 1 }),
        approval({ from: ["ben"], expiresIn: 2 }),
        manual(),
      ),
    },
    { people: ["ann", "ben"], decisions: ["YES", "NO"], ticks: 2 },
  ),
  votedAndApproved: deliberating(
    "voted and approved",
    { policy: all(majority({ quorum: 2 }), approval({ need: 1 })), intent: false },
    {
      signals: [says("a", "YES", 1), says("b", "YES", 1), says("b", "NO", 2)],
      people: ["ann", "pat"],
      decisions: ["YES"],
    },
  ),
} as const satisfies Record<string, Scenario>;
