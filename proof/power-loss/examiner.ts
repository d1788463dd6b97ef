/** A process that looks at images of recordings, some at a time. */
import { type Examination, type Examined, examine } from "./examine.ts";

export type FromExaminer =
  | { readonly examined: readonly Examined[] }
  | { readonly done: { readonly failedSyncs: number } }
  | { readonly broken: string };

/** So many are told together: a message each would cost more than it says. */
const toldAtOnce = 20;

process.on("disconnect", () => process.exit());
process.on("message", async (examination: Examination) => {
  let examined: Examined[] = [];
  const send = (message: FromExaminer): void =>
    void process.send?.(message, undefined, undefined, () => undefined);
  try {
    const done = await examine(examination, (one) => {
      examined.push(one);
      if (examined.length < toldAtOnce) return;
      send({ examined });
      examined = [];
    });
    send({ examined });
    send({ done });
  } catch (error) {
    send({ broken: error instanceof Error ? String(error.stack) : String(error) });
  }
});
