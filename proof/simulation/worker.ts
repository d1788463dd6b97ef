/** Runs pieces of seeds for the process that forked it. */
import type { Counts } from "../../src/testing/simulation/faults.ts";
import { simulate } from "../../src/testing/simulation/simulate.ts";
import type { Broken, Piece, PieceDone } from "./protocol.ts";

const send = (done: PieceDone): void => void process.send?.(done);

// What nobody waits for must not fail either: it belongs to the seed that is being run.
let unhandled: string | undefined;
process.on("unhandledRejection", (error) => {
  unhandled ??= `P10: an error that nobody hears of: ${String(error)}`;
});
// Nobody reads the stacks of errors that are simulated, and they cost more than the errors.
Error.stackTraceLimit = 0;
process.on("message", (piece: Piece) => void run(piece).then(send));
process.on("disconnect", () => process.exit());

async function run(piece: Piece): Promise<PieceDone> {
  const counts: Counts = {};
  const broken: Broken[] = [];
  const traceHashes: string[] = [];
  const sum = { seeds: 0, faults: 0, fewestFaults: Number.MAX_SAFE_INTEGER, starts: 0, settled: 0 };
  for (let seed = piece.from; seed < piece.from + piece.seeds; seed += 1) {
    unhandled = undefined;
    const one = await simulate({ seed });
    const fault = one.fault ?? unhandled;
    sum.seeds += 1;
    traceHashes.push(one.traceHash);
    if (fault !== undefined) broken.push({ seed, fault });
    if (fault !== undefined && piece.stopsAtFault) break;
    // A world that ended early, at a broken promise, has had fewer faults.
    if (fault === undefined) sum.fewestFaults = Math.min(sum.fewestFaults, one.faults);
    sum.faults += one.faults;
    sum.starts += one.starts;
    sum.settled += one.settled;
    for (const [kind, count] of Object.entries(one.counts)) {
      counts[kind as keyof Counts] = (counts[kind as keyof Counts] ?? 0) + count;
    }
  }
  return { from: piece.from, ...sum, counts, broken, traceHashes };
}
