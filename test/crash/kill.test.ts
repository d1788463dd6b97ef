import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerOf, inFreshProcess, startCaller } from "./caller.ts";
import { testFile } from "./folder.ts";
import { type Ledger, startLedger } from "./ledger.ts";
import { type CallerConfig, type KillPoint, type Kind, killPoints } from "./programs/protocol.ts";

let ledger: Ledger;
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());

let cases = 0;

/** A caller that dies at a step, and the way to ask again in fresh processes. */
async function killed(kind: Kind, dieAt: KillPoint, declared: Kind = kind) {
  cases += 1;
  const caseId = `case ${cases}`;
  const path = testFile();
  const config: CallerConfig = {
    path,
    ledger: ledger.url,
    kind,
    declared,
    leaseMs: 200,
    settlingMs: 50,
  };
  const victim = startCaller({ ...config, dieAt });
  await expect(answerOf(victim, caseId)).rejects.toThrow("the process died");
  expect(await victim.dead).toBe("SIGKILL");
  /** Each time in a process that knows nothing of the earlier ones. */
  const askAgain = () => inFreshProcess(config, (caller) => answerOf(caller, caseId));
  return { caseId, config, askAgain };
}

/** Whether an effect had certainly been done, or certainly not, when its caller died. */
const doneBefore: { readonly [Point in KillPoint]: 0 | 1 } = {
  "before the claim": 0,
  "after the claim": 0,
  "in the effect": 0,
  "in the effect, its request sent": 1,
  "after the effect": 1,
  "in the settle, written and not answered": 1,
  "after the settle": 1,
};

const certain: readonly KillPoint[] = [
  "before the claim",
  "in the settle, written and not answered",
  "after the settle",
];
const doubtful = killPoints.filter((point) => !certain.includes(point));

describe.each(["opaque", "keyed", "probeable", "idempotent"] as const)("%s", (kind) => {
  const pointsOfOne = kind === "opaque" ? certain : killPoints;

  test.each(pointsOfOne)("killed %s: one effect, one receipt", async (point) => {
    const { caseId, askAgain } = await killed(kind, point);
    expect(await ledger.effects(caseId)).toBe(doneBefore[point]);
    const first = await askAgain();
    const second = await askAgain();
    expect(first.status).toBe("settled");
    expect(second).toEqual({ ...first, replayed: true });
    const line = await ledger.line(caseId);
    expect(line?.effects).toBe(1);
    expect(line?.keys).toHaveLength(1);
    if (kind === "probeable") expect(line?.calls).toBe(1);
  });
});

describe("opaque", () => {
  test.each(doubtful)("killed %s: in doubt, listed, never run again", async (point) => {
    const { caseId, config, askAgain } = await killed("opaque", point);
    expect((await askAgain()).status).toBe("in_doubt");
    // Neither time, nor asking again, nor a sweep clears it.
    const listed = await inFreshProcess(config, async (caller) => {
      await caller.reconcile();
      expect((await caller.execute(caseId)).status).toBe("in_doubt");
      return caller.list("IN_DOUBT");
    });
    expect(listed).toEqual([caseId]);
    expect(await ledger.effects(caseId)).toBe(doneBefore[point]);
    // A person does: who has seen it done, or who has seen that it was not.
    await inFreshProcess(config, (caller) => caller.resolve(caseId, doneBefore[point] === 1));
    const answer = await askAgain();
    expect(answer.status).toBe("settled");
    expect(await askAgain()).toEqual({ ...answer, replayed: true });
    expect(await ledger.effects(caseId)).toBe(1);
  });

  test.each(["in the effect, its request sent", "after the effect"] as const)(
    "control: with the defence off, killed %s: doubled",
    async (point) => {
      const { caseId, askAgain } = await killed("opaque", point, "idempotent");
      expect((await askAgain()).status).toBe("settled");
      expect(await ledger.effects(caseId)).toBe(2);
    },
  );
});

test.each(["keyed", "probeable", "idempotent"] as const)(
  "%s, killed after the effect: a sweep settles it without being asked",
  async (kind) => {
    const { caseId, config } = await killed(kind, "after the effect");
    for (let settled = 0; settled === 0; ) {
      settled = (await inFreshProcess(config, (caller) => caller.reconcile())).settled;
    }
    const receipt = await inFreshProcess(config, (caller) => caller.receipt(caseId));
    const source = kind === "probeable" ? "probe" : "effect";
    expect(JSON.parse(receipt ?? "{}")).toMatchObject({ effect: "once", source });
    expect(await ledger.effects(caseId)).toBe(1);
  },
);
