import { describe, expect, test } from "vitest";
import { accountOf } from "../../proof/damage/account.ts";
import { type Copies, harmedBy, withCopies } from "../../proof/damage/copies.ts";
import { changedIn } from "../../proof/damage/dump.ts";
import { kinds } from "../../proof/damage/harm.ts";
import type { Answer, Judged } from "../../proof/damage/judge.ts";
import { toldBy } from "../../proof/damage/told.ts";
import { damage } from "../../proof/damage.ts";

/** Copies judged once, for all tests: two of each kind, from a seed on. */
const judgedFrom = (seed: number) =>
  withCopies(async (copies) => {
    const all: (readonly [number, Judged])[] = [];
    for (let at = seed; at < seed + 2 * kinds.length; at += 1) {
      all.push([at, await harmedBy(copies, at)]);
    }
    return all;
  });

const armsOf = (judged: readonly (readonly [number, Judged])[]) =>
  kinds.map((kind) => {
    const account = accountOf(kind);
    for (const [seed, one] of judged) if (one.kind === kind) account.add(one, seed);
    return account.arm();
  });

test("what changed is found, whatever the kind of damage; SQLite alone passes much of it", async () => {
  const judged = await judgedFrom(7);
  for (const arm of armsOf(judged)) {
    expect(arm).toMatchObject({ runs: 2, asExpected: true, failures: [] });
  }
  const changed = judged.filter(([, one]) => one.damage.is === "changed");
  expect(changed.length).toBeGreaterThan(10);
  // (control)
  expect(changed.some(([, { passesSqlite }]) => passesSqlite)).toBe(true);
});

describe("the account", () => {
  const soundly: Answer = { is: "sound" };
  const answered = (judged: readonly (readonly [number, Judged])[], answer: Answer) =>
    armsOf(judged.map(([seed, one]) => [seed, { ...one, answer }] as const));

  test("is not as expected where a changed copy passes, and says how to see it again", async () => {
    const judged = await judgedFrom(11);
    const arms = answered(judged, soundly);
    const rows = arms.find(({ name }) => name === "a row deleted");
    expect(rows?.asExpected).toBe(false);
    expect(rows?.failures[0]).toMatch(/missed.*npx node proof\/damage\/show\.ts \d+$/);
    expect(arms.filter(({ asExpected }) => !asExpected).length).toBeGreaterThan(8);
  });

  test("is not as expected where an innocent case is blamed, or an error is none of the guard's", async () => {
    const judged = await judgedFrom(3);
    const blame: Answer = {
      is: "faults",
      faults: [{ where: "case", caseId: "innocent", what: "", namespace: "default" }],
    };
    for (const arm of answered(judged, blame)) {
      // Where pages are gone, nobody knows which cases were on them.
      if (/row|column/.test(arm.name)) expect(arm.asExpected, arm.name).toBe(false);
    }
    const crash: Answer = { is: "failed", error: "TypeError" };
    for (const arm of answered(judged, crash)) expect(arm.asExpected, arm.name).toBe(false);
  });
});

describe("what plain SQLite reads", () => {
  const inCopies = (work: (copies: Copies) => void) => withCopies(async (copies) => work(copies));

  test("of the samples is one and the same, and differs by each commit", () =>
    inCopies(({ samples: { closed, open, writtenBack } }) => {
      expect(changedIn(closed.dump, open.dump)).toEqual([]);
      expect(changedIn(closed.dump, writtenBack.dump)).toEqual([]);
      expect(new Set(open.earlier).size).toBe(open.earlier.length);
      expect(open.earlier.length).toBeGreaterThan(15);
      expect(open.wal?.length).toBeGreaterThan(100_000);
      expect(closed.wal).toBeUndefined();
    }));

  test("tells whose rows changed, and which bindings nobody tells", () =>
    inCopies(({ samples: { closed }, known }) => {
      const { rows } = closed.dump;
      const changing = (part: string, edit: (text: string) => string) => {
        const name = [...rows.keys()].find((key) => rows.get(key)?.includes(part)) ?? "";
        const after = { rows: new Map(rows), broken: false };
        after.rows.set(name, edit(rows.get(name) ?? ""));
        return toldBy(changedIn(closed.dump, after), closed.dump, after, known);
      };
      const entry = changing('"requestId\\":\\"req-a-2', (text) => text.replace("req-a-2", "x"));
      expect(entry).toMatchObject({ isUntold: false, isOwnRow: false });
      expect([...entry.cases]).toEqual(["default/a-executing-renewed-asked"]);
      const asked = changing('"id":"ask-a-1"', (text) => text.replace("ask-a-1", "x"));
      expect(asked).toMatchObject({ isUntold: true });
      const bound = changing('"id":"req-a-2"', (text) => text.replace("req-a-2", "x"));
      expect(bound).toMatchObject({ isUntold: false });
      expect(changing('"feed"', (text) => text.replace("feed", "x")).isOwnRow).toBe(true);
    }));
});

test("the campaign runs through, and tells how far it is", async () => {
  const seen: number[] = [];
  const ended = new Error("enough");
  const running = damage.run({
    size: "quick",
    seed: 1,
    progress: (done, of) => {
      seen.push(done);
      expect(of).toBe(225);
      if (done === 5) throw ended;
    },
  });
  await expect(running).rejects.toBe(ended);
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});
