import fc from "fast-check";
import type { Happening } from "../../src/core/event.ts";
import { claim, doubt, intent, notHappened, release, requestId, settle, vote } from "./samples.ts";

/** Any instant that a clock may ever show. */
export const instants = fc.oneof(
  fc.integer({ min: -5, max: 500 }),
  fc.constantFrom(
    Number.MIN_SAFE_INTEGER,
    -1,
    0,
    Number.MAX_SAFE_INTEGER,
    -Number.MAX_VALUE,
    Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ),
  fc.double(),
);
export const fences = fc.constantFrom(0, 1, 1, 1, 2, 2, 3);

/** What a claim may be told or tell, under any fence. */
export const happenings: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(instants, fc.boolean(), fc.constantFrom("p", "p", "q"))
      .map(([leaseUntil, opens, payload]) => claim({ leaseUntil, opens, intent: intent(payload) })),
  },
  { weight: 3, arbitrary: fc.constant<Happening>({ type: "lease_ended" }) },
  fences.map((fence) => settle(fence)),
  fc.tuple(fences, fc.boolean()).map(([fence, final]) => release(fence, final)),
  fences.map((fence) => doubt(fence)),
  fc
    .tuple(fences, instants)
    .map(([fence, leaseUntil]): Happening => ({ type: "renew", fence, leaseUntil })),
  fences.map((fence): Happening => ({ type: "probed", fence, found: { answer: "absent" } })),
  fc.tuple(fences, instants).map(
    ([fence, probeAt]): Happening => ({
      type: "probed",
      fence,
      found: { answer: "unknown", probeAt },
    }),
  ),
  fences.map((fence) => notHappened(fence)),
  fences.map((fence): Happening => ({ type: "late_result", fence, valueForm: "omitted" })),
  fc.constant<Happening>({ type: "expire" }),
  fc.constant<Happening>({ type: "withdraw", note: "no" }),
  fc.constant<Happening>({
    type: "ask",
    requestId: requestId("r9"),
    fingerprint: intent().fingerprint,
  }),
  fc.constantFrom("YES", "NO").map((outcome) => vote("a", outcome)),
);
