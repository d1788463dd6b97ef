import type { Case } from "../core/case.ts";
import { dueAt, type Step } from "../core/store.ts";
import { type Connection, numberIn, textIn } from "./postgres-client.ts";
import { nothing, separator } from "./postgres-functions.ts";
import { thrown } from "./postgres-raised.ts";
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

type Asked = Pick<Connection, "query" | "storeId">;

/** Whether all of the steps landed, and when. */
export interface LandedWhole {
  readonly landed: boolean;
  /** Milliseconds since 1970 by the server's clock; undefined: it was not asked. */
  readonly at?: number;
}

/**
 * All of the steps or none, in one statement, by itself or within a transaction: that goes on, whatever
 * became of them.
 *
 * @param transaction the number of the transaction that they are meant for; in another one it throws
 */
export async function landWhole(
  connection: Asked,
  schema: string,
  landings: readonly Landing[],
  transaction?: string,
): Promise<LandedWhole> {
  if (contradict(landings)) return { landed: false };
  const waves = wavesOf(landings).flatMap((wave) => listsOf(sorted(wave)));
  const places = waves.map((_, index) => `$${index + 3}`).join(", ");
  const [row] = await connection
    .query(
      `SELECT landed, at, failed, detail FROM ${schema}.land_whole_1(ARRAY[${places}]::text[], $1, $2)`,
      [connection.storeId ?? null, transaction ?? null, ...waves],
    )
    .catch(thrown);
  const code = row?.failed ?? null;
  if (code !== null) thrown(Object.assign(new Error(textIn(row, "detail")), { code }));
  return { landed: textIn(row, "landed") === "t", at: numberIn(row, "at") };
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
 * One statement for all, each landing or not by itself.
 *
 * @param lockMs how long it waits for each lock of another transaction
 */
export async function land(
  connection: Asked,
  schema: string,
  landings: readonly Landing[],
  lockMs: number,
): Promise<Landed> {
  const inOrder = sorted(landings);
  const [row] = await connection
    .query(
      `SELECT landed, at FROM ${schema}.land_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      [...listsOf(inOrder), connection.storeId ?? null, `${lockMs}ms`],
    )
    .catch(thrown);
  const letters = textIn(row, "landed");
  const results = Array<boolean>(landings.length).fill(false);
  for (const [at, { index }] of inOrder.entries()) results[index] = letters[at] === "t";
  return { results, at: numberIn(row, "at") };
}

interface Placed {
  readonly landing: Landing;
  /** Its place among those that were given. */
  readonly index: number;
}

/**
 * By case, so that two batches that touch the same cases go through them in the same order and never
 * wait for each other in a circle.
 */
function sorted(landings: readonly Landing[]): readonly Placed[] {
  return landings
    .map((landing, index) => ({ landing, index }))
    .sort((one, other) => (one.landing.caseKey < other.landing.caseKey ? -1 : 1));
}

function listsOf(inOrder: readonly Placed[]): string[] {
  const list = (value: (landing: Landing) => string | number | null): string =>
    inOrder.map(({ landing }) => value(landing) ?? nothing).join(separator);
  return [
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
  ];
}

function actionOf(kase: Case): string | null {
  return kase.state === "RETIRED" ? null : (kase.intent?.action ?? null);
}
