import { afterAll, beforeAll, expect, test } from "vitest";
import { answerOf, inFreshProcess, startCaller } from "../crash/caller.ts";
import { testFile } from "../crash/folder.ts";
import { type Ledger, startLedger } from "../crash/ledger.ts";
import type { CallerConfig } from "../crash/programs/protocol.ts";
import { strace } from "./trace.ts";

let ledger: Ledger;
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(() => ledger.stop());

let cases = 0;

/** Writes and syncs of the write-ahead log: of its head, of the claim, of the settle. */
const writes = [1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 14, 15];

test.each(writes)(
  "opaque, killed at call %i on the write-ahead log: at most one effect, none lost",
  async (nth) => {
    cases += 1;
    const caseId = `case ${cases}`;
    const config: CallerConfig = {
      path: testFile(),
      ledger: ledger.url,
      kind: "opaque",
      leaseMs: 200,
    };
    await inFreshProcess(config, (caller) => caller.list("FINAL"));
    const calls = "pwrite64,fsync,fdatasync";
    const kill = ["-e", `trace=${calls}`, "-e", `inject=${calls}:signal=SIGKILL:when=${nth}`];
    const onLog = strace("-o", "/dev/null", "-P", `${config.path}-wal`, ...kill);
    const victim = startCaller(config, onLog);
    const told = await answerOf(victim, caseId).catch(() => undefined);
    const effects = await ledger.effects(caseId);
    const answer = await inFreshProcess(config, (caller) => answerOf(caller, caseId));
    if (told !== undefined) expect(answer).toEqual({ ...told, replayed: true });
    if (answer.status === "settled") expect(await ledger.effects(caseId)).toBe(1);
    else {
      // It was claimed, and whether it ran or not, it does not run again.
      expect(answer.status).toBe("in_doubt");
      expect(await ledger.effects(caseId)).toBe(effects);
      expect(effects).toBeLessThanOrEqual(1);
    }
  },
);
