import { type Entry, readEntry } from "../core/entry.ts";
import type { CaseId } from "../core/identity.ts";
import type { JournalEntry } from "../core/store.ts";
import { eachPage, ofCase, pageRows, type Seen, unlessDamaged, type Walk } from "./verify-lists.ts";

/** Holds the feed against the cases' own journals: each entry stands in both, or in neither. */
export async function checkFeed(walk: Walk, seen: Seen): Promise<void> {
  const { store, namespace, faults } = walk;
  let cases = 0;
  let entries = 0;
  for (let after = 0; after < seen.end; ) {
    const query = { namespace, after, limit: pageRows };
    const page = await unlessDamaged(walk, "feed", () => store.journal(query));
    if (page === undefined) return;
    if (page.length === 0) break;
    const read: Read[] = [];
    for (const entry of page) {
      const { position } = entry;
      if (!(position > after)) {
        faults.add({ where: "store", what: `The feed goes back after position ${after}.` });
        return;
      }
      after = position;
      if (position > seen.end) break;
      const says = entryIn(entry, namespace);
      if (says !== undefined) read.push({ ...entry, says });
      else faults.add({ where: "feed", position, what: unreadable(position) });
    }
    for (const [caseId, own] of byCase(read)) {
      await walk.breathe();
      if (!seen.whole && own.some(isFirst)) await checkUnlisted(walk, caseId);
      const sound = await soundEntries(walk, caseId, own);
      entries += sound.length;
      cases += sound.filter(isFirst).length;
    }
  }
  if (!seen.whole) return;
  if (cases > seen.cases) {
    const what = `The list of cases leaves out ${cases - seen.cases} of which the feed tells.`;
    faults.add({ where: "store", what });
  }
  // So, too, where cases were pruned meanwhile: looking closer tells.
  const isCut = seen.latest > 0 && !(await isThere(walk, seen.latest));
  if (entries !== seen.entries || isCut) await checkJournals(walk, seen.latest);
}

interface Read extends JournalEntry {
  readonly says: Entry;
}

const unreadable = (position: number) =>
  `The entry at position ${position} of the feed is none of this namespace's, or was changed.`;

function entryIn({ text }: JournalEntry, namespace: string): Entry | undefined {
  try {
    const entry = readEntry(text);
    return entry.namespace === namespace && typeof entry.caseId === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}

function isFirst({ says }: Read): boolean {
  return says.sequence === 1;
}

function byCase(entries: readonly Read[]): ReadonlyMap<CaseId, readonly Read[]> {
  return Map.groupBy(entries, ({ says }) => says.caseId as CaseId);
}

/** A case that the list could not come to. */
async function checkUnlisted(walk: Walk, caseId: CaseId): Promise<void> {
  const own = await walk.checkCase(caseId);
  walk.soFar.cases += 1;
  walk.soFar.entries += own?.length ?? 0;
}

/** Those of a case's entries in the feed that its journal has at the same place; of the others, tells. */
async function soundEntries(
  walk: Walk,
  caseId: CaseId,
  entries: readonly Read[],
): Promise<readonly Read[]> {
  const { store, namespace, faults } = walk;
  if (faults.has(caseId)) return [];
  const own = await ofCase(walk, caseId, () => store.history(namespace, caseId));
  const texts = new Map(own?.map(({ position, text }) => [position, text]));
  const isOwn = ({ position, text }: Read) => texts.get(position) === text;
  const stray = entries.find((entry) => !isOwn(entry));
  if (stray !== undefined && own !== undefined && (await isThere(walk, stray.position))) {
    const { position, says } = stray;
    const what = `Entry ${says.sequence} of case ${caseId} (position ${position}) is in the feed, and ${
      own.length === 0 ? "it has no case with a journal" : "not in its journal"
    }.`;
    faults.add({ where: "entry", caseId, sequence: says.sequence, position, what });
  }
  return entries.filter(isOwn);
}

/** The journals' entries, one by one: is each in the feed? */
async function checkJournals(walk: Walk, latest: number): Promise<void> {
  const { store, namespace, faults } = walk;
  await eachPage(walk, async ({ items }) => {
    for (const { caseId } of items) {
      await walk.breathe();
      if (faults.has(caseId)) continue;
      const own = await ofCase(walk, caseId, () => store.history(namespace, caseId));
      for (const [index, entry] of (own ?? []).entries()) {
        const { position } = entry;
        if (
          position > latest ||
          (await isThere(walk, position)) ||
          (await wasPruned(walk, caseId))
        ) {
          continue;
        }
        const sequence = index + 1;
        const what = `Entry ${sequence} of case ${caseId} (position ${position}) is missing from the feed.`;
        faults.add({ where: "entry", caseId, sequence, position, what });
      }
    }
    return true;
  });
}

/** Whether the feed has, still, an entry at its place. */
async function isThere(walk: Walk, position: number): Promise<boolean> {
  const query = { namespace: walk.namespace, after: position - 1, limit: 1 };
  const found = await unlessDamaged(walk, "feed", () => walk.store.journal(query));
  return found?.[0]?.position === position;
}

async function wasPruned(walk: Walk, caseId: CaseId): Promise<boolean> {
  const ids = { namespace: walk.namespace, caseId, requestId: null };
  const found = await ofCase(walk, caseId, () => walk.store.read(ids));
  return found?.stored?.case.state === "RETIRED";
}
