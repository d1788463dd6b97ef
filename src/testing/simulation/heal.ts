import type { CaseId } from "../../core/identity.ts";
import type { Doing } from "./doing.ts";
import type { Process, Running } from "./process.ts";
import type { World } from "./world.ts";

/**
 * Milliseconds by which clocks are set on between the sweeps of the end: past leases, keys and jumps.
 * Sometimes nobody looks for a whole hour.
 */
const promptly = [0, 5_000, 3_600_000, 3_200_000_000_000];
const late = promptly.slice(2);
/** The longest that a request to a callee or the store is under way. */
const inFlightMs = 20_000;
/** Within so long everything under way must have come to an end. */
const patienceMs = 3_600_000;

/**
 * The world becomes fair: nothing goes wrong any more. From here on everything must come to its end:
 * every call is answered, every doubt is listed, and every case that may be cleared is cleared.
 */
export async function heal(
  world: World,
  doing: Doing,
  processes: readonly Process[],
): Promise<void> {
  const { agenda, weather, witness, trace } = world;
  trace.note("the world becomes fair");
  weather.isFair = true;
  weather.storeDownUntil = 0;
  weather.clockOff.fill(0);
  const broken = () => witness.fault() !== undefined;

  const until = async (isSo: () => boolean, what: string) => {
    const end = agenda.now() + patienceMs;
    await agenda.runUntil(() => isSo() || broken() || agenda.now() > end);
    if (!isSo() && !broken()) witness.blame(`liveness: ${what}`);
  };

  await until(() => doing.open() === 0, "a call had no answer within an hour");
  // What was under way arrives, and what is owed to the store is paid, before anybody ends.
  await agenda.runUntil(rested(world, inFlightMs));
  checkDebts(world, new Set(processes.map((process) => process.running()?.life.name)));
  for (const process of processes) process.running()?.life.end();
  if (broken()) return;
  const [process] = processes;
  process?.start();
  const running = process?.running();
  if (running === undefined) return;

  /** One thing, to its end. */
  const finished = async <T>(what: string, work: Promise<T>): Promise<T | undefined> => {
    let ended = false;
    let value: T | undefined;
    work.then(
      (answer) => {
        ended = true;
        value = answer;
      },
      (error: unknown) => {
        ended = true;
        witness.blame(`liveness: ${what} failed in a fair world: ${String(error)}`);
      },
    );
    await until(() => ended, `${what} had no end`);
    return value;
  };

  for (const stride of world.chance.fork("heal").pick([promptly, late])) {
    weather.clockOff[0] = (weather.clockOff[0] ?? 0) + stride;
    await finished("a sweep", running.guard.reconcile());
    await agenda.runUntil(rested(world, 10_000));
    await finished("a sweep", running.guard.reconcile());
    if (broken()) return;
  }
  await checkDoubts(world, running, finished);
  if (broken()) return;
  for (const book of witness.books) {
    if (book.record?.state !== "IN_DOUBT") continue;
    doing.do({ id: 0, at: 0, do: "resolve", process: 0, caseId: book.setting.caseId });
  }
  await until(() => doing.open() === 0, "a person's word had no end");
  for (const { setting, payload } of witness.books) {
    const { caseId } = setting;
    const variant = payload?.includes('"b"') === true ? "b" : "a";
    const rest = { via: "execute", waitMs: 10_000, patienceMs: null, process: 0 } as const;
    const settledBefore = doing.settled();
    doing.do({ id: 0, at: 0, do: "call", caseId, requestId: `${caseId}/last`, variant, ...rest });
    await until(() => doing.open() === 0, `the last call for ${caseId} had no answer`);
    const isSettled = witness.book(caseId).record?.state === "SETTLED";
    if (isSettled && doing.settled() === settledBefore) {
      witness.blame(`P3: ${caseId} is settled, and the last call did not get its receipt`);
    }
    if (broken()) return;
  }
  checkEnds(world);
  await checkStore(world);
  // A whole check is long; a share of the worlds is enough.
  if (!world.chance.fork("verify").happens(0.1)) return;
  const verified = await finished("a check of the store", running.guard.verify());
  for (const { what } of verified?.faults ?? []) witness.blame(`P11: ${what}`);
}

function rested({ agenda }: World, ms: number): () => boolean {
  const end = agenda.now() + ms;
  agenda.after(ms, () => {});
  return () => agenda.now() >= end;
}

type Finished = <T>(what: string, work: Promise<T>) => Promise<T | undefined>;

/** P3, P8: who lives on has written down every result and every request that it gave a receipt to. */
function checkDebts({ witness }: World, living: ReadonlySet<string | undefined>): void {
  for (const { setting, record, attempts, results, receivers, requests } of witness.books) {
    if (record?.state === "RETIRED") continue;
    const { caseId } = setting;
    const lost = attempts.find(
      ({ life, told, fence }) => living.has(life) && told === "returned" && !results.has(fence),
    );
    if (lost !== undefined) witness.blame(`P8: the result of ${lost.name} was written nowhere`);
    const unbound = receivers.find(
      ({ life, requestId }) =>
        living.has(life) &&
        !requests.has(requestId) &&
        !witness.books.some((other) => other.requests.has(requestId)),
    );
    if (unbound !== undefined) {
      witness.blame(
        `P3: request ${unbound.requestId} got the receipt of ${caseId}, and is not bound to it`,
      );
    }
  }
}

/** P5: what was started and is not known to have ended is listed; and nothing else is left standing. */
async function checkDoubts(
  { witness }: World,
  running: Running,
  finished: Finished,
): Promise<void> {
  const page = await finished("a list", running.guard.list({ states: ["IN_DOUBT"] }));
  const listed = new Set<string>(page?.items.map(({ caseId }) => caseId));
  for (const { setting, attempts, record } of witness.books) {
    const { caseId } = setting;
    if (record?.state === "EXECUTING") witness.blame(`liveness: ${caseId} executes for ever`);
    const isOpen = record?.state !== "SETTLED" && record?.state !== "RETIRED";
    if (isOpen && attempts.some((one) => !one.cleared) && !listed.has(caseId)) {
      witness.blame(`P5: nobody knows whether ${caseId} happened, and it is not listed`);
    }
  }
}

/** Once every doubt is cleared, an effect that nobody forbade has happened, as often as its class allows. */
function checkEnds({ witness }: World): void {
  for (const { setting, record, happened } of witness.books) {
    const { caseId, decision } = setting;
    const state = record?.state;
    if (state === "SETTLED" && happened === 0)
      witness.blame(`P5: ${caseId} is settled, and did not happen`);
    if (
      decision === "immediate" &&
      state !== "SETTLED" &&
      state !== "VOID" &&
      state !== "RETIRED"
    ) {
      witness.blame(`liveness: ${caseId} is ${state ?? "absent"} after all was cleared`);
    }
    if (state !== "SETTLED" && state !== "RETIRED" && happened > 0) {
      witness.blame(`P5: ${caseId} happened, and is ${state ?? "absent"}`);
    }
  }
}

/** P4: the store holds what was committed, to the letter. */
async function checkStore({ store, witness }: World): Promise<void> {
  const { items: cases } = await store.list({ namespace: "default" });
  for (const { setting, record } of witness.books) {
    const { caseId } = setting;
    const { stored } = await store.read({
      namespace: "default",
      caseId: caseId as CaseId,
      requestId: null,
    });
    const listed = cases.find((kase) => kase.caseId === caseId) ?? null;
    for (const held of [stored?.case ?? null, listed]) {
      if (JSON.stringify(held) === JSON.stringify(record)) continue;
      witness.blame(`P4: the store holds another ${caseId} than was committed`);
    }
  }
}
