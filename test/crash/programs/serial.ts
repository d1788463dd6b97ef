/** Executes new cases one after the other, and tells the kernel's log where each of them stands. */
import { writeSync } from "node:fs";
import { createGuard } from "../../../src/index.ts";

const [path, warmUp, measured] = process.argv.slice(2);
const guard = createGuard({ store: path ?? "" });

for (let count = 1 - Number(warmUp); count <= Number(measured); count += 1) {
  const mark = (what: string) => count > 0 && writeSync(1, `${what} ${count}\n`);
  mark("call");
  await guard.execute({
    requestId: `case ${count}`,
    action: "pay",
    payload: { count },
    run: () => {
      mark("effect");
    },
  });
  mark("return");
}
await guard.close();
