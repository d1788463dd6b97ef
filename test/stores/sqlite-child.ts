// A process of its own for the tests of the SQLite store: it can be killed, or be one of many.
import { openSync, writeSync } from "node:fs";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { claim, settle, story } from "../../src/testing/store-cases.ts";

const [mode = "", path = "", name = "", chains = "1"] = process.argv.slice(2);
const store = sqliteStore({ path });
const acks = mode === "load" ? openSync(`${path}.acks`, "a") : -1;

const say = (line: string): void => void writeSync(1, `${line}\n`);

/** Commits without end, and writes down what was acknowledged: at once, so that a kill loses none of it. */
async function load(chain: number): Promise<void> {
  for (let count = 0; ; count += 1) {
    const { caseId, steps } = story(`${name}-${chain}-${count}`, [claim(), settle(count)]);
    for (const step of steps) {
      if (await store.commit([step])) writeSync(acks, `${caseId} ${step.next.version}\n`);
    }
    if (chain + count === 0) say("loaded");
  }
}

switch (mode) {
  case "load":
    await Promise.all(Array.from({ length: Number(chains) }, (_, chain) => load(chain)));
    break;
  // One of many that open a new file at once: each tries the same case, and one of its own.
  case "open": {
    const own = await store.commit(story(name, [claim()]).steps);
    const shared = await store.commit(story("shared", [claim()], { by: name }).steps);
    say(`${own} ${shared}`);
    await store.close();
    break;
  }
  // Ends by itself without having closed anything.
  case "leave": {
    const tales = Array.from({ length: Number(chains) }, (_, index) =>
      story(`${name}-${index}`, [claim()]),
    );
    for (let round = 0; round < 3; round += 1) {
      const part = tales.filter((_, index) => index % 3 === round);
      await Promise.all(part.map((told) => store.commit(told.steps)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    say("done");
    break;
  }
}
