import type { Case } from "../core/case.ts";
import { dueAt, type Step } from "../core/store.ts";
import { type Connection, numberIn, textIn } from "./postgres-client.ts";
import { nothing, separator } from "./postgres-functions.ts";
import { caseText } from "./record.ts";

/** A step as the database takes it. Made at the call, so that nothing changes it while it waits. */
export interface Landing {
  readonly step: Step;
  /** What two steps of one batch must not have in common. */
  readonly caseKey: string;
  readonly requestKey: string | null;
  readonly record: string;
}

export function landingOf(step: Step): Landing {
  const { namespace, caseId } = step.next;
  return {
    step,
    caseKey: keyOf(namespace, caseId),
    requestKey: step.bind === null ? null : keyOf(namespace, step.bind),
    record: caseText(step.next),
  };
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}\n${id}`;
}

export interface Landed {
  /** For each step, in the order they were given in, whether it landed. */
  readonly results: readonly boolean[];
  /** Milliseconds since 1970 by the server's clock. */
  readonly at: number;
}

/** Whether all of the steps landed, within a transaction: where not, it must be rolled back. */
export async function landWhole(
  connection: Pick<Connection, "query">,
  schema: string,
  landings: readonly Landing[],
): Promise<boolean> {
  if (contradict(landings)) return false;
  for (const wave of wavesOf(landings)) {
    const { results } = await land(connection, schema, wave);
    if (results.includes(false)) return false;
  }
  return true;
}

/** One request id for two cases. */
function contradict(landings: readonly Landing[]): boolean {
  const cases = new Map<string, string>();
  return landings.some(({ requestKey, caseKey }) => {
    if (requestKey === null) return false;
    const other = cases.get(requestKey) ?? caseKey;
    cases.set(requestKey, caseKey);
    return other !== caseKey;
  });
}

/** Steps of one case come one after the other; all others can share a statement. */
function wavesOf(landings: readonly Landing[]): readonly (readonly Landing[])[] {
  const waves: Landing[][] = [];
  const steps = new Map<string, number>();
  for (const landing of landings) {
    const step = steps.get(landing.caseKey) ?? 0;
    steps.set(landing.caseKey, step + 1);
    waves[step] = [...(waves[step] ?? []), landing];
  }
  return waves;
}

/**
 * One statement for all, each landing or not by itself. Sorted by case, so that two batches that touch
 * the same cases go through them in the same order and never wait for each other in a circle.
 */
export async function land(
  connection: Pick<Connection, "query">,
  schema: string,
  landings: readonly Landing[],
): Promise<Landed> {
  const sorted = landings
    .map((landing, index) => ({ landing, index }))
    .sort((one, other) => (one.landing.caseKey < other.landing.caseKey ? -1 : 1));
  const list = (value: (landing: Landing) => string | number | null): string =>
    sorted.map(({ landing }) => value(landing) ?? nothing).join(separator);
  const [row] = await connection.query(
    `SELECT landed, at FROM ${schema}.land_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      list(({ step }) => step.next.namespace),
      list(({ step }) => step.next.caseId),
      list(({ step }) => step.expected),
      list(({ step }) => step.next.version),
      list(({ step }) => step.next.state),
      list(({ step }) => actionOf(step.next)),
      list(({ step }) => step.next.updatedAt),
      list(({ step }) => dueAt(step.next)),
      list(({ step }) => step.head),
      list(({ step }) => step.entry),
      list(({ step }) => step.bind),
      list(({ record }) => record),
    ],
  );
  const letters = textIn(row, "landed");
  const results = Array<boolean>(landings.length).fill(false);
  for (const [at, { index }] of sorted.entries()) results[index] = letters[at] === "t";
  return { results, at: numberIn(row, "at") };
}

function actionOf(kase: Case): string | null {
  return kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
}
