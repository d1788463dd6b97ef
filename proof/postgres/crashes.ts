import { forgetful } from "../../test/postgres/forgetful.ts";
import { createLoad } from "../../test/postgres/load.ts";
import { startServer } from "../../test/postgres/servers/server.ts";
import { createGuards, type Part, type Played, pause, playedOf } from "./play.ts";

/** The server is ended as by a crash, and started again, while callers go on. */
export const crashes: readonly Part[] = [
  {
    name: "the server crashes under load",
    role: "defence",
    unit: "crashes",
    runs: { quick: 3, full: 20, release: 200 },
    play: (runs, tick) => play(runs, tick, false),
  },
  {
    name: "the server crashes, and answers commits before they are on disk",
    role: "control",
    unit: "crashes",
    runs: { quick: 2, full: 4, release: 10 },
    play: (runs, tick) => play(runs, tick, true),
  },
];

const receiptsBetween = 60;

async function play(runs: number, tick: () => void, isForgetful: boolean): Promise<Played> {
  const server = await startServer();
  const guards = createGuards();
  try {
    const pair = [guards.at(server.url), guards.at(server.url)];
    for (const guard of pair) await guard.list({ limit: 1 });
    if (isForgetful) await forgetful(guards.poolAt(server.url), "safeagent");
    const load = createLoad();
    const running = load.run(pair, 16);
    for (let crash = 0; crash < runs; crash += 1) {
      const before = load.receipts();
      while (load.receipts() < before + receiptsBetween) await pause(2);
      await server.restart("immediate");
      tick();
    }
    await running.stop();
    return playedOf(runs, [await load.audit(guards.at(server.url))]);
  } finally {
    await guards.end();
    await server.stop();
  }
}
