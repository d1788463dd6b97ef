/**
 * What the types promise, checked by the compiler alone: `npx tsc --noEmit`. Nothing here is run.
 */
import type { DatabaseSync } from "node:sqlite";
import type { PoolClient } from "pg";
import { z } from "zod";
import type {
  CaseHandle,
  Guard,
  GuardedFunction,
  HeldOutcome,
  Json,
  NoneReceipt,
  OnceReceipt,
  Outcome,
  Policy,
  SettledOutcome,
  TransactionContext,
} from "../../src/index.ts";
import { createGuard, threshold } from "../../src/index.ts";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only where the two types are one. */
function same<A, B>(_same: Same<A, B>): void {}

declare const guard: Guard;

interface Mail {
  readonly to: string;
  readonly urgent?: boolean;
}

const mail: Mail = { to: "c123@example.com" };

/** execute: the payload's type reaches the effect and the probe, the value's type the receipt. */
export async function execute(): Promise<void> {
  const outcome = await guard.execute({
    requestId: "r1",
    action: "send",
    payload: mail,
    run: (payload, ctx) => {
      same<typeof payload, Mail>(true);
      same<typeof ctx.idempotencyKey, string>(true);
      same<typeof ctx.fence, number>(true);
      same<typeof ctx.signal, AbortSignal>(true);
      return Promise.resolve({ id: 7 });
    },
    probe: (payload, ctx) => {
      same<typeof payload, Mail>(true);
      same<typeof ctx.signal, AbortSignal>(true);
      return "unknown";
    },
  });
  same<typeof outcome, Outcome<{ id: number }>>(true);

  // A value that is not promised is the same.
  const plain = await guard.execute({ requestId: "r1", action: "a", payload: 1, run: () => "x" });
  same<typeof plain, Outcome<string>>(true);

  // An effect that returns nothing.
  const nothing = await guard.execute({ requestId: "r1", action: "a", payload: 1, run: () => {} });
  same<typeof nothing, Outcome<void>>(true);

  // @ts-expect-error: an effect needs something to run.
  guard.execute({ requestId: "r1", action: "a", payload: 1 });
  // @ts-expect-error: and the caller's name for the ask.
  guard.execute({ action: "a", payload: 1, run: () => 1 });
  // @ts-expect-error: and a payload.
  guard.execute({ requestId: "r1", action: "a", run: () => 1 });
  guard.execute({
    requestId: "r1",
    action: "a",
    // @ts-expect-error: the effect takes what the payload is.
    payload: mail,
    run: (payload: { to: number }) => payload,
  });
  guard.execute({
    requestId: "r1",
    action: "a",
    payload: 1,
    run: () => 1,
    // @ts-expect-error: not a class of effect.
    effect: "harmless",
  });
  guard.execute({
    requestId: "r1",
    action: "a",
    payload: 1,
    run: () => 1,
    // @ts-expect-error: a probe answers happened, absent or unknown.
    probe: () => "maybe",
  });
  guard.execute({
    requestId: "r1",
    action: "a",
    payload: 1,
    run: () => 1,
    // @ts-expect-error: an error is either not performed or unknown.
    onError: () => "settled",
  });
}

/** transactional: the effect is handed its transaction, and only then. */
export async function transactional(): Promise<void> {
  const settled = await guard.execute({
    requestId: "r1",
    action: "order",
    payload: mail,
    effect: "transactional",
    run: (payload, ctx: TransactionContext<DatabaseSync>) => {
      same<typeof payload, Mail>(true);
      same<typeof ctx.tx, DatabaseSync>(true);
      same<typeof ctx.fence, number>(true);
      return { id: 7 };
    },
  });
  same<typeof settled, Outcome<{ id: number }>>(true);
  await guard.execute({
    requestId: "r1",
    action: "order",
    payload: 1,
    effect: "transactional",
    run: (payload, ctx) => {
      same<typeof payload, number>(true);
      // What it is depends on the store: whoever doesn't say has to look.
      same<typeof ctx.tx, unknown>(true);
    },
  });
  await guard.execute({
    requestId: "r1",
    action: "order",
    payload: 1,
    // @ts-expect-error: no other class has a transaction.
    run: (_, ctx) => ctx.tx,
  });
  await guard.execute({
    requestId: "r1",
    action: "order",
    payload: 1,
    effect: "transactional",
    run: () => 1,
    // @ts-expect-error: what is in the database needs no probe.
    probe: () => "unknown",
  });
  const order = guard.wrap("order", {
    effect: "transactional",
    key: (payload: Mail) => payload.to,
    run: async (payload, { tx }: TransactionContext<PoolClient>) => {
      same<typeof payload, Mail>(true);
      const { rowCount } = await tx.query("SELECT 1");
      return rowCount;
    },
    maxAttempts: 3,
  });
  same<typeof order, GuardedFunction<Mail, number | null>>(true);
  await guard.case("c1").settle({
    requestId: "r1",
    action: "order",
    payload: mail,
    effect: "transactional",
    run: (payload, ctx: TransactionContext<DatabaseSync>) => {
      same<typeof payload, Mail>(true);
      ctx.tx.exec("DELETE FROM orders");
    },
  });
}

/** enqueue: what is to run is a worker's to know. */
export async function enqueue(db: DatabaseSync): Promise<void> {
  const outcome = await guard.enqueue({ requestId: "r1", action: "send", payload: mail });
  same<typeof outcome, Outcome>(true);
  await guard.enqueue(db, { requestId: "r1", action: "send", payload: mail });
  // @ts-expect-error: what is missing is no transaction.
  await guard.enqueue(undefined, { requestId: "r1", action: "send", payload: mail });
  // @ts-expect-error: nothing is run here.
  await guard.enqueue({ requestId: "r1", action: "send", payload: mail, run: () => 1 });
}

/** Outcome: its status says which members there are. */
export function narrow(outcome: Outcome<{ id: number }>): string {
  switch (outcome.status) {
    case "settled":
      same<typeof outcome, SettledOutcome<{ id: number }>>(true);
      same<typeof outcome.effect, "once">(true);
      same<typeof outcome.receipt, OnceReceipt<{ id: number }>>(true);
      same<typeof outcome.receipt.value, { id: number } | undefined>(true);
      same<typeof outcome.replayed, boolean>(true);
      // @ts-expect-error: there is nothing to do next.
      outcome.next;
      return "settled";
    case "void":
      same<typeof outcome.effect, "none">(true);
      same<typeof outcome.receipt, NoneReceipt>(true);
      // @ts-expect-error: nothing happened, so there is no value.
      outcome.receipt.value;
      return outcome.next;
    case "not_performed":
    case "pending":
      same<typeof outcome.effect, "none">(true);
      // @ts-expect-error: no receipt yet.
      outcome.receipt;
      return outcome.forModel;
    case "in_progress":
    case "in_doubt":
      same<typeof outcome.effect, "unknown">(true);
      same<typeof outcome.case.caseId, string>(true);
      // @ts-expect-error: no receipt yet.
      outcome.receipt;
      return outcome.forModel;
  }
}

/** By the effect, too: what is not once is held. */
export function narrowByEffect(outcome: Outcome): string {
  if (outcome.effect === "once") {
    same<typeof outcome, SettledOutcome<Json>>(true);
    return outcome.receipt.settlementId;
  }
  same<typeof outcome, HeldOutcome>(true);
  // @ts-expect-error: a status that there is not.
  if (outcome.status === "failed") return "";
  return outcome.next;
}

/** wrap: called like the function it wraps. */
export async function wrap(): Promise<void> {
  const send = guard.wrap("send", {
    key: (payload: Mail) => payload.to,
    run: async (payload, ctx) => {
      same<typeof payload, Mail>(true);
      same<typeof ctx.caseId, string>(true);
      return { id: 7 };
    },
  });
  same<typeof send, GuardedFunction<Mail, { id: number }>>(true);
  const value = await send(mail);
  same<typeof value, { id: number }>(true);
  const outcome = await send.outcome(mail, { requestId: "r1" });
  same<typeof outcome, Outcome<{ id: number }>>(true);
  same<typeof send.action, string>(true);
  // @ts-expect-error: not what the function takes.
  await send({ from: "me" });
  // @ts-expect-error: the case id comes from the key.
  await send(mail, { caseId: "c1" });
  // @ts-expect-error: what makes two calls the same effect must be said.
  guard.wrap("send", { run: (payload: Mail) => payload });
  // @ts-expect-error: and what there is to run.
  guard.wrap("send", { key: (payload: Mail) => payload.to });
  // @ts-expect-error: a key is a text.
  guard.wrap("send", { key: (payload: Mail) => payload.urgent, run: () => 1 });
}

/** wrap with a schema: called with what goes in, run with what comes out. */
export async function schema(): Promise<void> {
  const input = z.object({ to: z.string(), retries: z.int().default(3) });
  const send = guard.wrap("send", {
    input,
    key: (payload) => {
      same<typeof payload, { to: string; retries: number }>(true);
      return payload.to;
    },
    run: (payload) => {
      same<typeof payload, { to: string; retries: number }>(true);
      return payload.retries;
    },
  });
  const value = await send({ to: "c123@example.com" });
  same<typeof value, number>(true);
  await send({ to: "c123@example.com", retries: 1 });
  // @ts-expect-error: the schema asks for it.
  await send({ retries: 1 });
}

/** case: only declared outcomes can be voted for, decided and allowed. */
export async function cases(): Promise<void> {
  const match = guard.case("match-1", {
    outcomes: ["YES", "NO"],
    policy: threshold({ share: 0.8, quorum: 3 }),
    allow: ["YES"],
  });
  same<typeof match, CaseHandle<"YES" | "NO">>(true);
  await match.signal({ source: "a", outcome: "YES", confidence: 0.97 });
  await match.decide("NO", { by: "ana", reason: "seen" });
  // @ts-expect-error: not one of the outcomes.
  await match.signal({ source: "a", outcome: "MAYBE" });
  // @ts-expect-error: not one of the outcomes.
  await match.decide("MAYBE", { by: "ana", reason: "seen" });
  // @ts-expect-error: a decision has its reason.
  await match.decide("NO", { by: "ana" });

  // Without outcomes any text will do.
  await guard.case("match-2").signal({ source: "a", outcome: "whatever" });

  const outcome = await match.settle({
    requestId: "r1",
    action: "send",
    payload: mail,
    run: (payload) => {
      same<typeof payload, Mail>(true);
      return payload.to.length;
    },
  });
  same<typeof outcome, Outcome<number>>(true);
  // @ts-expect-error: which case it is, is said already.
  await match.settle({ requestId: "r1", caseId: "c", action: "a", payload: 1, run: () => 1 });
  // @ts-expect-error: how it is decided, is said already.
  await match.settle({ requestId: "r1", action: "a", payload: 1, run: () => 1, policy: threshold });
}

/** resolve: a person says which, and brings evidence. */
export async function resolve(): Promise<void> {
  await guard.resolve("c1", { happened: true, value: 7 }, { by: "ana", evidence: "seen" });
  await guard.resolve("c1", { happened: false }, { by: "ana", evidence: "seen" });
  // @ts-expect-error: what did not happen has no value.
  await guard.resolve("c1", { happened: false, value: 7 }, { by: "ana", evidence: "seen" });
  // @ts-expect-error: evidence is needed.
  await guard.resolve("c1", { happened: true }, { by: "ana" });
}

/** Receipts are told apart by their effect. */
export async function receipts(): Promise<string | undefined> {
  const receipt = await guard.receipt("r1");
  if (receipt === undefined) return undefined;
  if (receipt.effect === "none") {
    same<typeof receipt, NoneReceipt>(true);
    return receipt.reason;
  }
  same<typeof receipt, OnceReceipt<Json>>(true);
  // @ts-expect-error: a receipt is never changed.
  receipt.fence = 2;
  return receipt.requestId;
}

/** A policy is plain data, of these kinds and no other. */
export const policies: readonly Policy[] = [
  threshold({ share: 1 }),
  { kind: "manual" },
  // @ts-expect-error: no such kind.
  { kind: "vibes" },
];

/** A guard is closed by `await using`. */
export async function disposable(): Promise<void> {
  await using made = createGuard({ store: "memory:" });
  same<typeof made, Guard>(true);
  // @ts-expect-error: a store is an address or a Store.
  createGuard({ store: 7 });
  // @ts-expect-error: a misspelt option.
  createGuard({ leaseMS: 30_000 });
}
