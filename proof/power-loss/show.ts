/** Builds one image of a kept recording again, leaves it beside the logs, and says what is wrong with it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { examine } from "./examine.ts";
import { recordings } from "./recordings.ts";

const [logs = "", name = "", seed, number] = process.argv.slice(2);
const recording = recordings.find((one) => one.name === name);
if (recording === undefined) throw new Error(`There is no recording "${name}".`);

const folder = join(logs, "image");
mkdirSync(folder, { recursive: true });
const examination = { recording, logs, folder, seed: Number(seed), numbers: [Number(number)] };
await examine(examination, ({ cut, wrongs }) => {
  console.log(`"${name}", image ${number}: the power goes after ${cut} calls.`);
  for (const { kind, what } of wrongs) console.log(`${kind}: ${what}`);
  if (wrongs.length === 0) console.log("Nothing is wrong with it.");
});
console.log(`What the store has left of it is in ${folder}.`);
