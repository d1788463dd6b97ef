import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startCaller } from "./caller.ts";
import { testFile, testFolder } from "./folder.ts";
import { startLedger } from "./ledger.ts";

const processes = 16;
const keys = Array.from({ length: 1_000 }, (_, index) => `key ${index}`);

test("16 processes ask for 1,000 keys: one effect each, one receipt for all, no error", {
  timeout: 300_000,
}, async () => {
  const ledger = await startLedger();
  const config = { path: testFile(), ledger: ledger.url, kind: "opaque" } as const;
  const callers = Array.from({ length: processes }, () => startCaller(config));
  // All have opened the file before the first asks for a key.
  await Promise.all(callers.map((caller) => caller.list("FINAL")));
  const answers = await Promise.all(callers.map((caller, me) => caller.storm(keys, me, 16)));

  const book = await ledger.book();
  expect(Object.keys(book)).toHaveLength(keys.length);
  expect(Object.values(book).filter(({ calls }) => calls !== 1)).toEqual([]);

  const receipts = new Map<string, Set<string>>();
  for (const [key, hash] of answers.flat()) {
    receipts.set(key, (receipts.get(key) ?? new Set()).add(hash));
  }
  expect(answers.map((own) => own.length)).toEqual(callers.map(() => keys.length));
  expect(receipts.size).toBe(keys.length);
  expect([...receipts].filter(([, hashes]) => hashes.size !== 1)).toEqual([]);
  expect(new Set(answers.flat().map(([, hash]) => hash)).size).toBe(keys.length);

  await Promise.all(callers.map((caller) => caller.end()));
  await ledger.stop();
});

test("8 processes open the same new file at once, 300 times: no error", {
  timeout: 300_000,
}, async () => {
  const program = new URL("./programs/opener.ts", import.meta.url);
  const openers = Array.from({ length: 8 }, () => fork(program, { execArgv: [] }));
  onTestFinished(() => {
    for (const opener of openers) opener.kill("SIGKILL");
  });
  await Promise.all(openers.map((opener) => once(opener, "message")));
  const folder = testFolder();
  const said: unknown[] = [];
  for (let file = 1; file <= 300; file += 1) {
    const answers = openers.map((opener) => once(opener, "message"));
    for (const opener of openers) opener.send({ path: join(folder, `${file}.db`) });
    for (const [answer] of await Promise.all(answers)) said.push(answer);
  }
  expect(said.filter((answer) => answer !== "opened")).toEqual([]);
});
