import type { Pool } from "pg";
import type { PostgresPool } from "../../src/stores/postgres.ts";
import { guessing } from "../../test/postgres/guessing.ts";
import { createLoad } from "../../test/postgres/load.ts";
import { type Fate, startProxy } from "../../test/postgres/servers/proxy.ts";
import { startServer } from "../../test/postgres/servers/server.ts";
import { createGuards, type Part, type Played, pause, playedOf } from "./play.ts";

const defended = { quick: 20, full: 150, release: 1_000 } as const;
const undefended = { quick: 20, full: 50, release: 100 } as const;

const neverComes: readonly Fate[] = [{ do: "drop request" }, { do: "reset" }];
const lostAnswer: readonly Fate[] = [
  { do: "drop reply", cut: "answered" },
  { do: "drop reply", cut: "at once" },
];

/** Commits whose request or answer is lost on the wire, through two guards under load. */
export const lostCommits: readonly Part[] = [
  {
    name: "a commit never comes to the server",
    role: "defence",
    unit: "lost commits",
    runs: defended,
    play: (runs, tick) => play(runs, tick, neverComes),
  },
  {
    name: "a commit's answer is lost",
    role: "defence",
    unit: "lost commits",
    runs: defended,
    play: (runs, tick) => play(runs, tick, lostAnswer),
  },
  {
    name: "a lost answer is taken for a commit that did not land",
    role: "control",
    unit: "lost commits",
    runs: undefended,
    play: (runs, tick) => play(runs, tick, lostAnswer, (pool) => guessing(pool, "not landed")),
  },
  {
    name: "a commit that never came is taken for one that landed",
    role: "control",
    unit: "lost commits",
    runs: undefended,
    play: (runs, tick) => play(runs, tick, neverComes, (pool) => guessing(pool, "landed")),
  },
];

/** Every so many commits one is lost. */
const every = 5;

async function play(
  runs: number,
  tick: () => void,
  fates: readonly Fate[],
  over: (pool: Pool) => PostgresPool = (pool) => pool,
): Promise<Played> {
  const server = await startServer();
  const guards = createGuards();
  const proxy = await startProxy({ to: server, matches: ({ sql }) => sql.includes("land_1") });
  const lost = (): number =>
    [...new Set(fates.map((fate) => fate.do))].reduce((sum, fate) => sum + proxy.counts()[fate], 0);
  try {
    const options = { over, waitMs: 2_000, leaseMs: 3_000 };
    const pair = [guards.at(proxy.url, options), guards.at(proxy.url, options)];
    const load = createLoad({ patienceMs: 4_000 });
    for (const guard of pair) await guard.list({ limit: 1 });
    proxy.plan((nth) =>
      nth % every === 0 && lost() < runs
        ? (fates[(nth / every) % fates.length] as Fate)
        : { do: "forward" },
    );
    const running = load.run(pair, 8);
    for (let seen = 0; seen < runs; ) {
      await pause(5);
      for (const now = lost(); seen < now; seen += 1) tick();
    }
    await running.stop();
    return playedOf(lost(), [await load.audit(guards.at(server.url))]);
  } finally {
    await guards.end();
    await proxy.stop();
    await server.stop();
  }
}
