import { isAddress } from "./database.ts";
import { measure } from "./measure.ts";
import { prefill } from "./prefill.ts";
import { prefillPostgres } from "./prefill-postgres.ts";
import { realRows } from "./real-rows.ts";
import type { Task, TaskResult } from "./task.ts";

/** One task in a process of its own, so that each starts with an empty heap and cold code. */
const task = JSON.parse(process.argv[2] ?? "") as Task;
process.stdout.write(`${JSON.stringify(await perform(task))}\n`);

async function perform(todo: Task): Promise<TaskResult> {
  switch (todo.kind) {
    case "measure":
      return measure(todo);
    case "prefill":
      await (isAddress(todo.path) ? prefillPostgres : prefill)(
        todo.path,
        todo.receipts,
        await realRows(),
      );
      return [];
  }
}
