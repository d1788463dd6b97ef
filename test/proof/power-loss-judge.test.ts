import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { judge } from "../../proof/power-loss/judge.ts";
import { database } from "../../proof/power-loss/record.ts";
import { nothingTold, type Said, type Told } from "../../proof/power-loss/said.ts";
import { createGuard, manual } from "../../src/index.ts";
import { chanceOf } from "../../src/testing/chance.ts";

const caseId = "case 1";
const other = "case 2";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "safeagent-judge-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A file with one settled and one withdrawn case, copied as a power loss would leave it, and all that was told. */
async function written() {
  const place = folder();
  const image = join(place, "image");
  const path = join(place, database);
  const said: Said[] = [];
  mkdirSync(image);
  const guard = createGuard({ store: path });
  const outcome = await guard.execute({
    requestId: caseId,
    action: "pay",
    payload: { caseId },
    run: () => {
      said.push({ said: "started", caseId }, { said: "ended", caseId });
      return "x".repeat(9_000);
    },
  });
  const handle = guard.case(other, { policy: manual() });
  await handle.signal({ source: "a", outcome: "YES", signalId: "s1" });
  await handle.withdraw({ by: "ana", reason: "no longer wanted" });
  if (outcome.status !== "settled") throw new Error(outcome.status);
  said.push(
    { said: "receipt", requestId: caseId, caseId, text: JSON.stringify(outcome.receipt) },
    { said: "signalled", caseId: other, signalId: "s1" },
    { said: "decided", caseId: other, type: "withdraw", by: "ana" },
  );
  for (const end of ["", "-wal"]) {
    copyFileSync(path + end, join(image, database + end));
  }
  await guard.close();
  return { image, said };
}

function heard(said: readonly Said[]): Told {
  const told = nothingTold();
  for (const one of said) told.hear(one);
  return told;
}

const kindsOf = async (image: string, said: readonly Said[]) =>
  new Set((await judge(image, heard(said), chanceOf(1))).map(({ kind }) => kind));

test("an image that has all that was acknowledged is right", async () => {
  const { image, said } = await written();
  expect(await judge(image, heard(said), chanceOf(1))).toEqual([]);
});

test("a lost log is found out: receipt, claim, signal and decision are gone", async () => {
  const { image, said } = await written();
  rmSync(join(image, `${database}-wal`));
  expect(await kindsOf(image, said)).toEqual(new Set(["receipt", "claim", "signal", "decision"]));
});

test("a settled case whose effect had not ended is found out", async () => {
  const { image, said } = await written();
  const early = said.filter((one) => one.said !== "ended" && one.said !== "receipt");
  expect(await kindsOf(image, early)).toEqual(new Set(["untrue"]));
});

test("another receipt than was told is found out", async () => {
  const { image, said } = await written();
  const told = said.map((one) =>
    one.said === "receipt" ? { ...one, text: one.text.replace("xxx", "xxy") } : one,
  );
  expect(await kindsOf(image, told)).toEqual(new Set(["receipt"]));
});

test("a step that was acknowledged and is not there is found out", async () => {
  const { image, said } = await written();
  const step: Said = { said: "committed", caseId, version: 3, head: "f".repeat(64) };
  expect(await kindsOf(image, [...said, step])).toEqual(new Set(["step"]));
});

test("a journal entry that was changed or taken out is found out", async () => {
  for (const sql of [
    "UPDATE journal SET text = replace(text, 'pay', 'pey')",
    "DELETE FROM journal WHERE position = (SELECT max(position) FROM journal)",
  ]) {
    const { image, said } = await written();
    const db = new DatabaseSync(join(image, database));
    db.exec(sql);
    db.close();
    expect(await kindsOf(image, said)).toContain("corrupt");
  }
});

test("a damaged file is found out", async () => {
  const { image, said } = await written();
  const db = new DatabaseSync(join(image, database));
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  const path = join(image, database);
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0, 4_096, 12_288));
  expect(await kindsOf(image, said)).toEqual(new Set(["corrupt"]));
});
