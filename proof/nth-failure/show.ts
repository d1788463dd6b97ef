/** Makes one trial again, and shows what the process was told and what is wrong with it. */
import { inScratchFolder } from "../folder.ts";
import { faults, type Lasting } from "./fault.ts";
import { makeGrounds } from "./ground.ts";
import { controls, scenarios } from "./scenarios.ts";
import { trial } from "./trial.ts";

const [name, kind, error, lasting, nth] = process.argv.slice(2);
const all = [...scenarios, ...controls];
const scenario = all.find((one) => one.name === name);
const fault = faults.find((one) => one.kind === kind && one.error === error);
if (scenario === undefined || fault === undefined) throw new Error("There is no such trial.");

await inScratchFolder(async (scratch) => {
  const [ground] = await makeGrounds(scratch, all, 1);
  if (ground === undefined) throw new Error("There is no place for it.");
  const result = await trial(scenario, fault, lasting as Lasting, Number(nth), ground);
  console.log(`${result.fired} calls were made to fail.`);
  for (const answer of result.answers) console.log(JSON.stringify(answer));
  for (const { kind: wrong, what } of result.wrongs) console.log(`${wrong}: ${what}`);
  if (result.wrongs.length === 0) console.log("Nothing is wrong.");
});
