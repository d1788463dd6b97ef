import type { Audit } from "../../test/postgres/load.ts";
import { createLoad } from "../../test/postgres/load.ts";
import { startPair } from "../../test/postgres/servers/standby.ts";
import { startSwitch } from "../../test/postgres/switch.ts";
import { createGuards, type Part, pause, playedOf } from "./play.ts";

/** The primary dies under load, its standby takes over, and the same guards go on with it. */
export const failovers: readonly Part[] = [
  {
    name: "a failover to a synchronous standby",
    role: "defence",
    unit: "failovers",
    runs: { quick: 1, full: 5, release: 50 },
    play: (runs, tick) => playAll(runs, tick, true),
  },
  {
    name: "a failover to an asynchronous standby that is behind",
    role: "control",
    unit: "failovers",
    runs: { quick: 1, full: 2, release: 5 },
    play: (runs, tick) => playAll(runs, tick, false),
  },
];

async function playAll(runs: number, tick: () => void, synchronous: boolean) {
  const audits: Audit[] = [];
  for (let run = 0; run < runs; run += 1) {
    audits.push(await playOne(synchronous, run));
    tick();
  }
  return playedOf(runs, audits);
}

async function playOne(synchronous: boolean, run: number): Promise<Audit> {
  const pair = await startPair({ synchronous });
  const wire = await startSwitch(pair.primary.port);
  const guards = createGuards();
  try {
    const both = [guards.at(wire.url), guards.at(wire.url)];
    const load = createLoad({ name: `failover ${run + 1}, case` });
    const running = load.run(both, 16);
    while (load.receipts() < 100) await pause(5);
    // Half of the synchronous ones, too, have commits that wait for it at that moment.
    if (!synchronous || run % 2 === 1) await pair.holdReplication();
    if (!synchronous) while (load.receipts() < 200) await pause(5);
    else await pause(50);
    const url = await pair.failover();
    wire.to(Number(new URL(url).port));
    const before = load.receipts();
    while (load.receipts() < before + 50) await pause(5);
    await running.stop();
    return await load.audit(guards.at(url));
  } finally {
    await guards.end();
    await wire.stop();
    await pair.stop();
  }
}
