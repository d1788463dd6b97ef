import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuard } from "../../src/index.ts";
import { type PostgresPool, postgresStore } from "../../src/stores/postgres.ts";
import { guessing } from "./guessing.ts";
import { type Audit, createLoad } from "./load.ts";
import { type Fate, startProxy, type WireProxy } from "./servers/proxy.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();

/** Every so many commits one is lost, until there were enough. */
const every = 5;
const wanted = 25;

const fates: readonly (readonly [string, Fate])[] = [
  ["never comes to the server", { do: "drop request" }],
  ["is answered, and the answer lost", { do: "drop reply", cut: "answered" }],
  ["is under way when the wire is cut", { do: "drop reply", cut: "at once" }],
  ["meets a reset", { do: "reset" }],
];

async function underLoad(
  fate: Fate,
  poolOver: (pool: Pool) => PostgresPool = (pool) => pool,
): Promise<{ readonly audit: Audit; readonly dropped: number }> {
  const schema = ground.freshSchema();
  const proxy = await startProxy({
    to: ground.server,
    matches: ({ sql }) => sql.includes("land_1"),
  });
  onTestFinished(() => proxy.stop());
  const guards = [1, 2].map(() => {
    const pool = ground.pool({ connectionString: proxy.url });
    const store = postgresStore({ pool: poolOver(pool), schema });
    const guard = createGuard({ store, waitMs: 2_000, leaseMs: 3_000 });
    onTestFinished(async () => {
      await guard.close();
      await store.close();
    });
    return guard;
  });
  const load = createLoad({ patienceMs: 4_000 });
  await load.ask(guards[0] as never, "first", "first");
  proxy.plan((nth) => (nth % every === 0 ? fate : { do: "forward" }));
  const running = load.run(guards, 8);
  await dropped(proxy, fate);
  proxy.plan(() => ({ do: "forward" }));
  await running.stop();
  const store = postgresStore({ pool: ground.pool(), schema });
  onTestFinished(() => store.close());
  return { audit: await load.audit(createGuard({ store })), dropped: proxy.counts()[fate.do] };
}

async function dropped(proxy: WireProxy, fate: Fate): Promise<void> {
  while (proxy.counts()[fate.do] < wanted) await delay(5);
}

describe.each(fates)("a commit that %s", (_, fate) => {
  test("is told rightly: nothing lost, nothing doubled, no doubt, no error", async () => {
    const { audit, dropped } = await underLoad(fate);
    expect(audit).toMatchObject({ violations: [], doubts: [], errors: 0 });
    expect(dropped).toBeGreaterThanOrEqual(wanted);
    expect(audit.receipts).toBeGreaterThan(wanted);
  });
});

describe("control: a store that guesses what became of a lost commit", () => {
  test("that it has not landed, and does it anew: what it has claimed itself is left in doubt", async () => {
    const { audit } = await underLoad({ do: "drop reply", cut: "answered" }, (pool) =>
      guessing(pool, "not landed"),
    );
    expect(audit.doubts.length).toBeGreaterThan(0);
  });

  test("that it has landed: receipts are lost, or effects doubled", async () => {
    const { audit } = await underLoad({ do: "drop request" }, (pool) => guessing(pool, "landed"));
    expect(audit.lost + audit.doubled).toBeGreaterThan(0);
  });
});
