import { expect, test } from "vitest";
import { armsOf, newAccount } from "../../proof/power-loss/account.ts";
import type { Examined } from "../../proof/power-loss/examine.ts";
import type { Recording } from "../../proof/power-loss/recordings.ts";

const recording = (role: Recording["role"], inject?: string): Recording => ({
  name: "calls",
  arm: "calls",
  role,
  share: 1,
  runs: [{ workload: "few calls", ...(inject === undefined ? {} : { inject }) }],
});

const right: Examined = {
  number: 0,
  cut: 10,
  unsynced: 3,
  receipts: 2,
  claims: 3,
  voices: 0,
  wrongs: [],
};
const lost: Examined = { ...right, number: 7, wrongs: [{ kind: "receipt", what: "it is gone" }] };

function armOf(of: Recording, ...images: Examined[]) {
  const account = newAccount(of);
  for (const image of images) account.add(image);
  const [arm] = armsOf([account], (_, number) => `show ${number}`);
  return arm!;
}

test("a defence that lost nothing holds", () => {
  const arm = armOf(recording("defence"), right, { ...right, cut: 11, unsynced: 0 });
  expect(arm).toMatchObject({ runs: 2, unit: "images", asExpected: true, failures: [] });
  expect(arm.counts).toMatchObject({ cuts: 2, "with unsynced writes": 1 });
  expect(arm.counts).toMatchObject({ "acknowledged receipts looked for": 4 });
});

test("a defence that lost a receipt doesn't hold, and names the image", () => {
  const arm = armOf(recording("defence"), right, lost);
  expect(arm).toMatchObject({ asExpected: false, counts: { "lost an acknowledged receipt": 1 } });
  expect(arm.failures).toEqual(["calls, image 7, cut 10: it is gone. show 7"]);
});

test("a control must lose", () => {
  expect(armOf(recording("control"), right, lost).asExpected).toBe(true);
  expect(armOf(recording("control"), right)).toMatchObject({
    asExpected: false,
    failures: ["The control lost nothing."],
  });
});

test.each([
  ["nothing was unsynced", { unsynced: 0 }, undefined],
  ["nothing had been acknowledged", { receipts: 0 }, undefined],
  ["no effect had started", { claims: 0 }, undefined],
  ["no sync failed", {}, "fsync:error=EIO:when=3"],
])("a run in which %s proves nothing", (_, change, inject) => {
  const arm = armOf(recording("defence", inject), { ...right, ...change });
  expect(arm.asExpected).toBe(false);
  expect(arm.failures).toHaveLength(1);
});
