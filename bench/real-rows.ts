import { hash } from "node:crypto";
import { fingerprintText } from "../src/core/identity.ts";
import { canonicalJson } from "../src/core/json.ts";
import { createGuard, memoryStore, type Step, type Store } from "../src/index.ts";
import { action, newKey, payloadOf } from "./keys.ts";

/** What the product writes for one execution: the rows of its claim and of its settlement. */
export interface RealRows {
  readonly id: string;
  readonly fingerprint: string;
  readonly claim: RealRow;
  readonly settle: RealRow;
}

export interface RealRow {
  /** The case, as text. */
  readonly record: string;
  readonly head: string;
  readonly entry: string;
  readonly updatedAt: number;
}

/** Taken from one real execution, so that the others write neither more nor less than the product does. */
export async function realRows(): Promise<RealRows> {
  const store = memoryStore();
  const steps: Step[] = [];
  const watched: Store = {
    ...store,
    commit(commit) {
      steps.push(...commit);
      return store.commit(commit);
    },
  };
  const guard = createGuard({ store: watched });
  const id = newKey();
  const run = async (): Promise<{ sent: boolean }> => ({ sent: true });
  await guard.execute({ requestId: id, action, payload: payloadOf(id), run });
  await guard.close();
  const [claim, settle] = steps;
  if (steps.length !== 2 || claim === undefined || settle === undefined) {
    throw new Error(`An execution was ${steps.length} commits, not 2.`);
  }
  const fingerprint = fingerprintFor(id);
  if (!rowOf(claim).record.includes(fingerprint))
    throw new Error("The fingerprint is another one.");
  return { id, fingerprint, claim: rowOf(claim), settle: rowOf(settle) };
}

/** Of the ask that the closed loop makes under a key. */
export function fingerprintFor(key: string): string {
  return hash("sha256", fingerprintTextFor(key));
}

/** What is hashed. */
export function fingerprintTextFor(key: string): string {
  const canonical = canonicalJson(payloadOf(key));
  return fingerprintText("default", action, canonical.ok ? canonical.text : "");
}

function rowOf({ next, head, entry }: Step): RealRow {
  if (entry === null) throw new Error("A step of an execution was not journaled.");
  return { record: JSON.stringify(next), head, entry, updatedAt: next.updatedAt };
}
