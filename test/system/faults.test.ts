import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  answerOf,
  type Caller,
  CallerFault,
  inFreshProcess,
  startCaller,
} from "../crash/caller.ts";
import { testFile } from "../crash/folder.ts";
import { type Ledger, startLedger } from "../crash/ledger.ts";
import type { Answer, CallerConfig, Fault } from "../crash/programs/protocol.ts";
import { type Disk, smallDisk } from "./disks.ts";
import { strace } from "./trace.ts";

let ledger: Ledger;
let runs = 0;
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());

function configOf(path: string): CallerConfig {
  runs += 1;
  return { path, ledger: ledger.url, kind: "opaque", leaseMs: 5_000 };
}

const onDisk = (disk: Disk): CallerConfig => configOf(join(disk.folder, "safeagent.db"));

/** An answer, or the guard's typed error; any other error fails the test. */
async function answerOrFault(answer: Promise<Answer>): Promise<Answer | Fault> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CallerFault && error.fault.typed) return error.fault;
    throw error;
  }
}

const isFault = (given: Answer | Fault): given is Fault => "code" in given;

/** Executes new cases until the store refuses one. */
async function executeUntilRefused(caller: Caller) {
  const receipts = new Map<string, string>();
  for (let count = 1; ; count += 1) {
    const caseId = `run ${runs}, case ${count}`;
    const given = await answerOrFault(caller.execute(caseId));
    if (isFault(given)) return { refused: caseId, fault: given, receipts };
    expect(given.status).toBe("settled");
    if (given.recorded === true) receipts.set(caseId, given.receipt!);
  }
}

async function expectKept(config: CallerConfig, receipts: ReadonlyMap<string, string>) {
  await inFreshProcess(config, async (caller) => {
    for (const [caseId, receipt] of receipts) expect(await caller.receipt(caseId)).toBe(receipt);
  });
  for (const caseId of receipts.keys()) expect(await ledger.effects(caseId)).toBe(1);
}

describe("disk full", () => {
  test("nothing is started, nothing acknowledged is lost, and it works again with space", async () => {
    const disk = smallDisk(400);
    const config = onDisk(disk);
    const caller = startCaller(config);
    const { refused, fault, receipts } = await executeUntilRefused(caller);
    expect(receipts.size).toBeGreaterThan(3);
    expect(fault).toMatchObject({ code: "store_unavailable", effect: "none" });
    expect(await ledger.effects(refused)).toBe(0);
    const [known, receipt] = [...receipts][0]!;
    expect((await caller.execute(known)).receipt).toBe(receipt);

    disk.grow();
    const answer = await caller.execute(refused);
    expect(answer).toMatchObject({ status: "settled", recorded: true });
    expect(await caller.execute(refused)).toEqual({ ...answer, replayed: true });
    await caller.end();
    await expectKept(config, receipts.set(refused, answer.receipt!));
  });

  test("between claim and settle: it happened, unrecorded, until there is space", async () => {
    const disk = smallDisk(600);
    const config = onDisk(disk);
    const caller = startCaller({ ...config, pause: "after" });
    const caseId = `run ${runs}`;
    const running = caller.execute(caseId);
    await caller.waits();
    disk.fill();
    await caller.goOn();
    const answer = await running;
    expect(answer).toMatchObject({ status: "settled", effect: "once", recorded: false });
    expect(await caller.execute(caseId)).toEqual({ ...answer, replayed: true });

    disk.grow();
    for (let recorded = false; !recorded; ) {
      recorded = (await caller.execute(caseId)).recorded === true;
    }
    await caller.end();
    await expectKept(config, new Map([[caseId, answer.receipt!]]));
  });
});

describe("read-only file", () => {
  test("nothing is started, and receipts can be read where another process has it open", async () => {
    const disk = smallDisk(4_000);
    const config = onDisk(disk);
    const writer = startCaller(config);
    const kept = `run ${runs}, kept`;
    const fresh = `run ${runs}, fresh`;
    const { receipt } = await writer.execute(kept);
    const view = { ...config, path: join(disk.readOnlyView(), "safeagent.db") };
    await inFreshProcess(view, async (reader) => {
      expect(await reader.receipt(kept)).toBe(receipt);
      expect((await reader.execute(kept)).receipt).toBe(receipt);
      const refused = await answerOrFault(reader.execute(fresh));
      expect(refused).toMatchObject({ code: "store_unavailable", effect: "none" });
    });
    await writer.end();
    // Now nobody keeps it open, and it can't be opened where nothing can be written.
    const alone = startCaller(view);
    const refused = await answerOrFault(alone.execute(fresh));
    expect(refused).toMatchObject({ code: "store_unavailable", effect: "none" });
    await alone.end();
    expect(await ledger.effects(fresh)).toBe(0);
    await expectKept(config, new Map([[kept, receipt!]]));
  });
});

describe("one write that fails", () => {
  /** Four new cases, one after the other, in a process whose n-th call of a kind fails; then all again in a fresh one. */
  async function withFailure(injection: readonly string[]) {
    const config = configOf(testFile());
    const ids = [1, 2, 3, 4].map((index) => `run ${runs}, case ${index}`);
    // The file exists: what fails belongs to opening it and to the executions.
    await inFreshProcess(config, (caller) => caller.list("FINAL"));
    const log = `${config.path}.strace`;
    const caller = startCaller(config, strace("-o", log, ...injection));
    const first: (Answer | Fault)[] = [];
    for (const id of ids) first.push(await answerOrFault(caller.execute(id)));
    await caller.end();
    expect(readFileSync(log, "utf8")).toContain("(INJECTED)");

    for (const fault of first.filter(isFault)) {
      expect(fault).toMatchObject({ code: "store_unavailable", effect: "none" });
    }
    const receipts = new Map<string, string>();
    for (const [index, given] of first.entries()) {
      if (isFault(given)) expect(await ledger.effects(ids[index]!)).toBe(0);
      else {
        expect(given.status).toBe("settled");
        receipts.set(ids[index]!, given.receipt!);
      }
    }
    await expectKept(config, receipts);
    for (const id of ids) {
      const answer = await inFreshProcess(config, (fresh) => answerOf(fresh, id));
      const effects = await ledger.effects(id);
      // Refused while it was claimed, and not even that could be taken back: a doubt, and no effect.
      if (answer.status !== "settled") expect([answer.status, effects]).toEqual(["in_doubt", 0]);
      else expect(effects).toBe(1);
    }
  }

  test.each([1, 2, 3, 4, 5, 6])(
    "sync %i: no false success, nothing lost, nothing doubled",
    async (nth) => {
      const calls = "fsync,fdatasync";
      await withFailure(["-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO:when=${nth}`]);
    },
  );
});
