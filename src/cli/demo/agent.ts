import { deskAt } from "./desk.ts";
import type { Message, Task } from "./task.ts";
import { bareTools, guardedTools, type Tools } from "./tools.ts";

/**
 * An agent, in a process of its own, so that it can really be killed. What a model would decide
 * comes as a task from the demo; the tool call is real.
 *
 * Arguments: its name, its side's address at the help desk and, with the guard, the store's file.
 */
const [, , name = "agent", deskUrl = "", store] = process.argv;

const tell = (message: Message): void => {
  process.send?.(message);
};

const desk = deskAt(deskUrl);
const tools: Tools =
  store === undefined
    ? bareTools(desk)
    : guardedTools(desk, { store, name, onDoubt: () => tell({ kind: "doubt" }) });

process.on("message", async (task: Task) => {
  try {
    tell({ kind: "answer", answer: await tools(task) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    tell({ kind: "answer", answer: { kind: "error", message } });
  }
});

// Ctrl-C reaches every process of the terminal; the demo ends its children itself, in order.
process.on("SIGINT", () => undefined);
// Whatever becomes of the demo, nobody works on alone. The store doesn't mind: it can be killed.
process.once("disconnect", () => process.exit());

tell({ kind: "ready" });
