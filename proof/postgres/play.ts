import { Pool } from "pg";
import { createGuard, type Guard } from "../../src/index.ts";
import { type PostgresPool, postgresStore } from "../../src/stores/postgres.ts";
import type { Audit } from "../../test/postgres/load.ts";
import type { Arm, Size } from "../campaign.ts";
import { namedFailures } from "../campaign.ts";

/** One arm of the campaign, before it is played. */
export interface Part {
  readonly name: string;
  readonly role: Arm["role"];
  readonly unit: string;
  /** How often it is done. */
  readonly runs: { readonly [S in Size]: number };
  /** Does it so often; ticks each time. */
  play(runs: number, tick: () => void): Promise<Played>;
}

export interface Played {
  readonly runs: number;
  readonly counts: Readonly<Record<string, number>>;
  /** What was wrong, one by one. */
  readonly wrong: readonly string[];
}

export function armOf(part: Part, { runs, counts, wrong }: Played, wanted: number): Arm {
  const { name, role, unit } = part;
  const isHeld = role === "defence" ? wrong.length === 0 : wrong.length > 0;
  const isEnough = runs >= wanted;
  const short = isEnough ? [] : [`void: only ${runs} of ${wanted} ${unit}`];
  const failures = role === "defence" ? wrong : isHeld ? [] : ["void: nothing was wrong"];
  return {
    name,
    role,
    runs,
    unit,
    counts,
    asExpected: isHeld && isEnough,
    failures: [...short, ...failures].slice(0, namedFailures),
  };
}

/** What an audit found, as a part counts it. */
export function playedOf(runs: number, audits: readonly Audit[]): Played {
  const sum = (of: (audit: Audit) => number): number =>
    audits.reduce((all, audit) => all + of(audit), 0);
  return {
    runs,
    counts: {
      "effects that happened": sum(({ effects }) => effects),
      "cases with a receipt": sum(({ receipts }) => receipts),
      "acknowledged receipts lost": sum(({ lost }) => lost),
      "effects doubled": sum(({ doubled }) => doubled),
      "other promises broken": sum(
        ({ violations, lost, doubled }) => violations.length - lost - doubled,
      ),
      "needless doubts": sum(({ doubts }) => doubts.length),
      "calls answered with an error": sum(({ errors }) => errors),
    },
    wrong: audits.flatMap(({ violations, doubts }) => [
      ...violations.map(({ promise, caseId, says }) => `${promise}, ${caseId}: ${says}`),
      ...doubts.map((caseId) => `needless doubt, ${caseId}`),
    ]),
  };
}

/** Guards on servers, and how to end them all. */
export interface Guards {
  at(url: string, options?: GuardAt): Guard;
  poolAt(url: string): Pool;
  end(): Promise<void>;
}

export interface GuardAt {
  readonly schema?: string;
  readonly over?: (pool: Pool) => PostgresPool;
  readonly waitMs?: number;
  readonly leaseMs?: number;
}

export function createGuards(): Guards {
  const ends: (() => Promise<unknown>)[] = [];
  const poolAt = (url: string): Pool => {
    const pool = new Pool({ connectionString: url });
    // A server that is killed breaks idle connections, too.
    pool.on("error", () => undefined);
    ends.unshift(() => pool.end());
    return pool;
  };
  return {
    poolAt,
    at(url, { schema = "safeagent", over = (pool: Pool) => pool, ...options }: GuardAt = {}) {
      const store = postgresStore({ pool: over(poolAt(url)), schema });
      const guard = createGuard({ store, ...options });
      ends.unshift(async () => {
        await guard.close();
        await store.close();
      });
      return guard;
    },
    async end() {
      for (const one of ends.splice(0)) await one();
    },
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
