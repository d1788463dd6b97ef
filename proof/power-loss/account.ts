import { type Arm, namedFailures } from "../campaign.ts";
import type { Examined } from "./examine.ts";
import type { Wrong } from "./judge.ts";
import type { Recording } from "./recordings.ts";

/** What came of the images of one recording. */
export interface Account {
  readonly recording: Recording;
  add(examined: Examined): void;
  failedSyncs(count: number): void;
  hasFailed(): boolean;
  sums(): Sums;
}

interface Sums {
  readonly images: number;
  readonly cuts: number;
  readonly open: number;
  readonly receipts: number;
  readonly claims: number;
  readonly voices: number;
  readonly failedSyncs: number;
  /** Images with at least one of a kind. */
  readonly wrong: ReadonlyMap<Wrong["kind"], number>;
  readonly failed: readonly Examined[];
}

export function newAccount(recording: Recording): Account {
  const cuts = new Set<number>();
  const wrong = new Map<Wrong["kind"], number>();
  const failed: Examined[] = [];
  let images = 0;
  let open = 0;
  let receipts = 0;
  let claims = 0;
  let voices = 0;
  let failedSyncs = 0;
  return {
    recording,
    add(examined) {
      images += 1;
      cuts.add(examined.cut);
      receipts += examined.receipts;
      claims += examined.claims;
      voices += examined.voices;
      if (examined.unsynced > 0) open += 1;
      for (const kind of new Set(examined.wrongs.map((one) => one.kind))) {
        wrong.set(kind, (wrong.get(kind) ?? 0) + 1);
      }
      if (examined.wrongs.length > 0 && failed.length < namedFailures) failed.push(examined);
    },
    failedSyncs(count) {
      failedSyncs = count;
    },
    hasFailed: () => failed.length > 0,
    sums: () => ({
      images,
      cuts: cuts.size,
      open,
      receipts,
      claims,
      voices,
      failedSyncs,
      wrong,
      failed,
    }),
  };
}

/** @param show the command that shows an image again */
export function armsOf(
  accounts: readonly Account[],
  show: (recording: Recording, number: number) => string,
): Arm[] {
  const names = [...new Set(accounts.map(({ recording }) => recording.arm))];
  return names.map((name) => {
    const own = accounts.filter(({ recording }) => recording.arm === name);
    return armOf(name, own, show);
  });
}

function armOf(
  name: string,
  accounts: readonly Account[],
  show: (recording: Recording, number: number) => string,
): Arm {
  const role = accounts.some(({ recording }) => recording.role === "control")
    ? "control"
    : "defence";
  const sums = accounts.map((one) => one.sums());
  const sum = (of: (one: Sums) => number): number => sums.reduce((all, one) => all + of(one), 0);
  const wrong = (...kinds: readonly Wrong["kind"][]): number =>
    sum((one) => kinds.reduce((all, kind) => all + (one.wrong.get(kind) ?? 0), 0));
  const voids = accounts.flatMap(voidness);
  const failures = accounts.flatMap((account) =>
    // Each recording has its say.
    account
      .sums()
      .failed.slice(0, accounts.length > 1 ? 3 : namedFailures)
      .map(({ number, cut, wrongs }) => {
        const what = `${account.recording.name}, image ${number}, cut ${cut}: ${wrongs[0]?.what}`;
        return `${what}. ${show(account.recording, number)}`;
      }),
  );
  const lost = wrong("receipt");
  const held = failures.length === 0;
  const failedSyncs = sum((one) => one.failedSyncs);
  const voices = sum((one) => one.voices);
  return {
    name,
    role,
    runs: sum((one) => one.images),
    unit: "images",
    counts: {
      cuts: sum((one) => one.cuts),
      "with unsynced writes": sum((one) => one.open),
      ...(failedSyncs === 0 ? {} : { "syncs that failed": failedSyncs }),
      "acknowledged receipts looked for": sum((one) => one.receipts),
      "lost an acknowledged receipt": lost,
      "started claims looked for": sum((one) => one.claims),
      "lost a started claim": wrong("claim"),
      ...(voices === 0
        ? {}
        : {
            "acknowledged signals and decisions looked for": voices,
            "lost a signal or a decision": wrong("signal", "decision"),
          }),
      "lost another step": wrong("step"),
      "told what was not so": wrong("untrue"),
      corrupt: wrong("corrupt"),
      "did not open or go on": wrong("unopened"),
    },
    asExpected: voids.length === 0 && (role === "defence" ? held : lost > 0),
    failures: [
      ...voids,
      ...(role === "defence" ? failures : lost > 0 ? [] : ["The control lost nothing."]),
    ].slice(0, namedFailures),
  };
}

/** What makes a recording's images prove nothing. */
function voidness({ recording, sums }: Account): string[] {
  const { open, receipts, claims, voices, failedSyncs } = sums();
  const found: string[] = [];
  if (open === 0) found.push(`${recording.name}: no image had unsynced writes.`);
  if (receipts === 0) found.push(`${recording.name}: no receipt had been acknowledged.`);
  if (claims === 0) found.push(`${recording.name}: no effect had started.`);
  const speaks = recording.runs.some(
    ({ workload }) => workload === "signals, decisions, approvals",
  );
  if (speaks && voices === 0) found.push(`${recording.name}: no signal had been acknowledged.`);
  const isInjected = recording.runs.some(({ inject }) => inject?.includes("error=") === true);
  if (isInjected && failedSyncs === 0) found.push(`${recording.name}: no sync failed.`);
  return found;
}
