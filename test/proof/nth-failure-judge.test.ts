import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Answer } from "../../proof/nth-failure/answer.ts";
import { type Effect, judge } from "../../proof/nth-failure/judge.ts";
import { createGuard, isGuardError } from "../../src/index.ts";

const step = "execute A";
const effect: Effect = ["A", step, 1];
const tried = { step, caseId: "A", attempt: 1 } as const;
const refused = { ...tried, came: "error", typed: true, effect: "none", message: "full" } as const;

/** A file in which A was executed, and its receipt. */
async function executed(fails = false) {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-nth-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "safeagent.db");
  const guard = createGuard({ store: path });
  const run = () => {
    if (fails) throw new Error("lost");
    return "done";
  };
  const call = { requestId: "A", action: "pay", payload: {}, run };
  const outcome = await guard.execute(call).catch((error: unknown) => {
    if (!isGuardError(error)) throw error;
    return undefined;
  });
  await guard.close();
  return { path, receipt: outcome?.status === "settled" ? JSON.stringify(outcome.receipt) : "" };
}

async function kindsOf(
  path: string,
  answers: readonly Answer[],
  effects: readonly Effect[],
  lasting: "once" | "for good" = "for good",
) {
  return new Set((await judge({ path, lasting, answers, effects })).map(({ kind }) => kind));
}

test("true answers are right: settled and there, refused and not run", async () => {
  const { path, receipt } = await executed();
  const settled: Answer = { ...tried, attempt: 2, came: "settled", recorded: true, receipt };
  expect(await kindsOf(path, [refused, settled], [["A", step, 2]], "once")).toEqual(new Set());
});

test("a receipt that was told and is not there, or is another one, is a false success", async () => {
  const { path, receipt } = await executed();
  const told = (caseId: string, text: string): Answer => ({
    ...tried,
    caseId,
    came: "settled",
    recorded: true,
    receipt: text,
  });
  const elsewhere: Effect = ["B", step, 1];
  expect(await kindsOf(path, [told("A", `${receipt} `)], [effect])).toContain("false success");
  expect(await kindsOf(path, [told("B", receipt)], [effect, elsewhere])).toContain("false success");
});

test("what is told as not recorded may be gone, and must have run", async () => {
  const { path } = await executed(true);
  const told: Answer = { ...tried, came: "settled", recorded: false, receipt: "{}" };
  expect(await kindsOf(path, [told], [effect])).toEqual(new Set());
  expect(await kindsOf(path, [told], [])).toEqual(new Set(["false success"]));
});

test("what ran and is told as not executed is a false failure", async () => {
  const { path } = await executed();
  expect(await kindsOf(path, [refused], [effect])).toEqual(new Set(["false failure"]));
});

test("an effect whose claim is nowhere is forgotten, and one that ran twice is doubled", async () => {
  const { path } = await executed();
  expect(await kindsOf(path, [], [effect, ["B", step, 1]])).toEqual(new Set(["forgotten"]));
  expect(await kindsOf(path, [], [effect, effect])).toEqual(new Set(["doubled"]));
});

test("a case that is settled and never ran is a false success", async () => {
  const { path } = await executed();
  expect(await kindsOf(path, [], [])).toEqual(new Set(["false success"]));
});

test("an error that is not the guard's own is found", async () => {
  const { path } = await executed();
  const answers: Answer[] = [{ ...refused, typed: false, effect: "" }];
  expect(await kindsOf(path, answers, [effect])).toEqual(new Set(["untyped"]));
});

test("after one fault the last try must do; after a lasting one it need not", async () => {
  const { path } = await executed();
  const answers: Answer[] = [refused, { ...refused, attempt: 2 }];
  expect(await kindsOf(path, answers, [["A", step, 3]], "once")).toEqual(new Set(["stuck"]));
  expect(await kindsOf(path, answers, [["A", step, 3]])).toEqual(new Set());
});

test("a decision that was taken and is not in the journal is a false success", async () => {
  const { path } = await executed();
  const answers: Answer[] = [{ ...tried, came: "accepted", type: "decide", by: "ana" }];
  expect(await kindsOf(path, answers, [effect])).toEqual(new Set(["false success"]));
});
