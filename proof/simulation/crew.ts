import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import type { Piece, PieceDone } from "./protocol.ts";

export interface CrewOptions {
  readonly from: number;
  readonly seeds: number;
  readonly stopsAtFault: boolean;
  /** The program of a worker; another copy of the sources has its own. */
  readonly worker?: URL;
  readonly processes?: number;
  readonly progress: (done: number) => void;
}

/** Seeds a piece: small enough to see progress and to stop soon, large enough to cost nothing. */
const pieceSeeds = 200;

/** Runs seeds in several processes; answers the pieces in the order of their seeds. */
export async function runSeeds(options: CrewOptions): Promise<readonly PieceDone[]> {
  const { from, seeds, stopsAtFault, progress } = options;
  const program = options.worker ?? new URL("./worker.ts", import.meta.url);
  const done: PieceDone[] = [];
  let next = from;
  let count = 0;
  let stopped = false;

  const work = async (worker: ChildProcess): Promise<void> => {
    const gone = once(worker, "exit").then(([code, signal]) => {
      throw new Error(`A simulating process ended: ${code ?? signal}.`);
    });
    gone.catch(() => undefined);
    while (!stopped && next < from + seeds) {
      const piece: Piece = {
        from: next,
        seeds: Math.min(pieceSeeds, from + seeds - next),
        stopsAtFault,
      };
      next += piece.seeds;
      worker.send(piece);
      const [answer] = (await Promise.race([once(worker, "message"), gone])) as [PieceDone];
      done.push(answer);
      count += answer.seeds;
      progress(count);
      if (stopsAtFault && answer.broken.length > 0) stopped = true;
    }
  };

  const processes = Math.min(
    options.processes ?? availableParallelism(),
    Math.ceil(seeds / pieceSeeds),
  );
  const workers = Array.from({ length: processes }, () => fork(program, { execArgv: [] }));
  try {
    await Promise.all(workers.map(work));
  } finally {
    for (const worker of workers) worker.kill();
  }
  return done.sort((one, other) => one.from - other.from);
}
