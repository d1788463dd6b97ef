import type { Case, CaseState } from "../core/case.ts";
import { factsOf, isGuardError } from "../core/errors.ts";
import type { CaseId } from "../core/identity.ts";
import { dueAt, type ListQuery, type Page, type Store } from "../core/store.ts";
import type { Faults } from "./faults.ts";
import type { CaseCheck } from "./verify-case.ts";

/** What the parts of one check share. */
export interface Walk {
  readonly store: Store;
  readonly namespace: string;
  readonly faults: Faults;
  readonly checkCase: CaseCheck;
  /** Counts what was checked. */
  readonly soFar: { cases: number; entries: number };
  /** Called between two pieces of work. */
  readonly breathe: () => Promise<void>;
}

/** What the walk over all cases has seen, up to where the feed ended when it began. */
export interface Seen {
  readonly end: number;
  /** Sound cases with a journal, and the entries in it. */
  readonly cases: number;
  readonly entries: number;
  /** The last position in any journal, be it later. */
  readonly latest: number;
  /** Whether all cases could be listed. */
  readonly whole: boolean;
}

/** Small pages: records may be large, and what waits for the event loop must not wait for many. */
export const pageRows = 100;
/** Looks at a case that changes all the time, before it is left to the next check. */
const looks = 3;

/** Walks all cases, and holds the lists that sweeps and operators go by against them. */
export async function checkLists(walk: Walk): Promise<Seen> {
  const { store, namespace, soFar } = walk;
  const end = (await unlessDamaged(walk, "feed's end", () => store.end(namespace))) ?? 0;
  const seen = { cases: 0, entries: 0, latest: 0 };
  const whole = await eachPage(walk, async (page, after) => {
    let isLater = page.items.length > 0;
    for (const kase of page.items) {
      await walk.breathe();
      const own = await walk.checkCase(kase.caseId, kase);
      soFar.cases += 1;
      soFar.entries += own?.length ?? 0;
      const early = own?.filter(({ position }) => position <= end).length ?? 0;
      seen.cases += early > 0 ? 1 : 0;
      seen.entries += early;
      seen.latest = Math.max(seen.latest, own?.at(-1)?.position ?? 0);
      isLater &&= own !== undefined && own.length > 0 && early === 0;
    }
    for (const list of lists) await compare(walk, list, page.items, after);
    // Cases that are opened as fast as they are checked must not keep it going for ever.
    return !isLater;
  });
  return { end, ...seen, whole };
}

type Cursor = Pick<ListQuery, "after">;

/** Calls back with each page of all cases, until that answers false. False: not all could be listed. */
export async function eachPage(
  walk: Walk,
  look: (page: Page<Case>, after: Cursor) => Promise<boolean>,
): Promise<boolean> {
  let after: Cursor = {};
  let mark: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await pageOf(walk, "list of cases", after);
    if (page === undefined) return false;
    if (!(await look(page, after)) || page.next === null) return true;
    // Damage may lead in a circle. A cursor is kept for twice as long each time, so it comes back to one.
    if (page.next === mark) {
      walk.faults.add({ where: "store", what: "The list of cases runs in a circle." });
      return false;
    }
    if (Number.isInteger(Math.log2(pages))) mark = page.next;
    after = { after: page.next };
  }
}

/** One of the lists that are kept apart from the cases, and which of them must be in it. */
interface List {
  readonly name: string;
  readonly query: Pick<ListQuery, "states" | "dueBy">;
  readonly holds: (kase: Case) => boolean;
}

const unfinished: readonly CaseState[] = [
  "OPEN",
  "RESOLVED_PROVISIONAL",
  "IN_RECONCILIATION",
  "FINAL",
  "EXECUTING",
  "IN_DOUBT",
];

const lists: readonly List[] = [
  {
    name: "list of what has not ended",
    query: { states: unfinished },
    holds: (kase) => unfinished.includes(kase.state),
  },
  {
    name: "list of what needs attention",
    query: { dueBy: Number.MAX_VALUE },
    holds: (kase) => dueAt(kase) !== null,
  },
];

/** Both are in the order of opening, so what a list must have of a page stands at the front after the page's cursor. */
async function compare(
  walk: Walk,
  list: List,
  cases: readonly Case[],
  after: Cursor,
): Promise<void> {
  const page = await pageOf(walk, list.name, after, list.query);
  if (page === undefined) return;
  for (const kase of page.items) {
    if (!list.holds(kase)) told(walk, kase, `is in the ${list.name}, and should not be`);
  }
  const listed = idsOf(page);
  for (const kase of cases) {
    const isMissing = list.holds(kase) && !listed.has(kase.caseId);
    if (isMissing && (await isLost(walk, list, kase, after))) {
      told(walk, kase, `is missing from the ${list.name}`);
    }
  }
}

function told(walk: Walk, { caseId }: Case, what: string): void {
  walk.faults.add({ where: "case", caseId, what: `Case ${caseId} ${what}.` });
}

/** Whether it is missing still, and did not change while the list was read again. */
async function isLost(walk: Walk, list: List, { caseId }: Case, after: Cursor): Promise<boolean> {
  const read = async () => {
    const ids = { namespace: walk.namespace, caseId, requestId: null };
    return (await ofCase(walk, caseId, () => walk.store.read(ids)))?.stored?.case;
  };
  for (let look = 0; look < looks; look += 1) {
    const before = await read();
    const page = await pageOf(walk, list.name, after, list.query);
    const now = await read();
    if (before === undefined || page === undefined || now === undefined) return false;
    if (!list.holds(now) || idsOf(page).has(caseId)) return false;
    if (before.version === now.version) return true;
  }
  return false;
}

function idsOf(page: Page<Case>): ReadonlySet<string> {
  return new Set(page.items.map((kase) => kase.caseId));
}

function pageOf(
  walk: Walk,
  name: string,
  after: Cursor,
  query: List["query"] = {},
): Promise<Page<Case> | undefined> {
  const { store, namespace, faults } = walk;
  return unlessDamaged(walk, name, () =>
    store.list({
      namespace,
      ...query,
      ...after,
      limit: pageRows,
      refused(error, caseId) {
        const what = `Case ${caseId} can't be read: ${factsOf(error)}`;
        faults.add({ where: "case", caseId, what });
      },
    }),
  );
}

/** What a call to the store answers; undefined where what it reads is damaged, which is then told. */
export async function unlessDamaged<T>(
  { faults }: Walk,
  name: string,
  call: () => T | Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (!isGuardError(error, "store_corrupt")) throw error;
    faults.add({ where: "store", what: `The ${name} can't be read: ${factsOf(error)}` });
    return undefined;
  }
}

/** The same for what is read of one case. */
export async function ofCase<T>(
  { faults }: Walk,
  caseId: CaseId,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (!isGuardError(error, "store_corrupt")) throw error;
    faults.add({ where: "case", caseId, what: `Case ${caseId} can't be read: ${factsOf(error)}` });
    return undefined;
  }
}
