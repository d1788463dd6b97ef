/** A process whose guard has a pool of its own, all of it idle: told to end, it closes the guard and says so. */
import { once } from "node:events";
import { createGuard } from "../../../src/index.ts";

const [url = ""] = process.argv.slice(2);
const guard = createGuard({ store: url });
const call = { action: "pay", payload: {}, run: () => 1 };
const ids = Array.from({ length: 4 }, (_, index) => `r-${index}`);
await Promise.all(ids.map((requestId) => guard.execute({ ...call, requestId })));
process.stdout.write("ready\n");
await once(process.stdin, "data");
process.stdin.destroy();
await guard.close();
process.stdout.write("closed\n");
