import { explanations, nameOf, sortOut } from "./explained.ts";
import { type Mutant, mutate } from "./mutate.ts";
import { scoreOf } from "./score.ts";

/** For a person at work on a file: `npm run mutate -- src/core/json.ts`, and `src/core/json.ts:20-40` for some of it. */
const what = process.argv.slice(2);
if (what.length === 0) {
  process.stderr.write("npm run mutate -- FILE[:FROM-TO] …\n");
  process.exit(2);
}

const print = (line: string) => void process.stdout.write(`${line}\n`);
const isTerminal = process.stderr.isTTY;
const mutants = await mutate({
  what,
  progress: (done, of) => void (isTerminal && process.stderr.write(`\r${done}/${of} `)),
});
if (isTerminal) process.stderr.write("\r\u001b[K");

for (const [file, own] of Map.groupBy(mutants, (mutant) => mutant.file)) {
  const { of, total, covered } = scoreOf(own);
  const { killed, survived } = of;
  print(
    `${file}: ${own.length} mutants, ${killed} killed, ${of["timed out"]} timed out, ${of["not loaded"]} not loaded, ${survived} survived, ${of["not covered"]} not covered; ${total} %, of what is covered ${covered} %`,
  );
}

const left = (mutant: Mutant) => mutant.fate === "survived" || mutant.fate === "not covered";
const { explained, unexplained } = sortOut(mutants.filter(left), explanations());
print(`${explained.length} of those that are left are explained; these are not:`);
for (const mutant of unexplained) print(`${mutant.row} ${JSON.stringify(nameOf(mutant))}`);
process.exitCode = unexplained.length === 0 ? 0 : 1;
