import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { createGuard, type Guard } from "../../src/index.ts";
import { withServer } from "../postgres/servers/with-server.ts";
import { grounds, type Place } from "./grounds.ts";
import type { ClerkConfig } from "./programs/clerk.ts";
import { insert } from "./programs/deeds.ts";
import { errorOf, pause, until } from "./world.ts";

const program = fileURLToPath(new URL("./programs/clerk.ts", import.meta.url));

interface Clerk {
  readonly child: ChildProcess;
  /** What it has said so far, a line each. */
  readonly lines: () => string[];
  /** Resolves when it is dead: its exit code, or the signal that killed it. */
  readonly dead: Promise<number | string>;
}

function startClerk(config: ClerkConfig): Clerk {
  const child = spawn(process.execPath, [program, JSON.stringify(config)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (data) => {
    said += data;
  });
  const dead = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, lines: () => said.split("\n").slice(0, -1), dead };
}

const server = withServer();
const [sqlite, postgres] = grounds(server);

const idsOf = async (guard: Guard, ...states: ("SETTLED" | "FINAL" | "EXECUTING" | "IN_DOUBT")[]) =>
  (await guard.list({ states, limit: 1_000 })).items.map(({ caseId }) => caseId).sort();

/** Of two reads nobody can say that they are of one moment: a killed client's last commit may still land. */
async function agree(place: Place, guard: Guard): Promise<string[]> {
  let settled: string[] = [];
  await until(async () => {
    settled = await idsOf(guard, "SETTLED");
    return JSON.stringify(settled) === JSON.stringify(await place.deeds());
  });
  return settled;
}

test("a worker that the server never lets in ends at once, and says why", async () => {
  const address = new URL(server.server.url);
  address.username = "nobody";
  const guard = createGuard({ store: address.href });
  onTestFinished(() => guard.close());
  guard.wrap("deed", { key: (id: string) => id, run: () => 1 });
  const error = await errorOf(guard.work());
  expect(error).toMatchObject({ code: "store_unavailable", effect: "none", lasting: true });
  expect(error.message).toContain('role "nobody" does not exist');
});

describe.each([sqlite, postgres])("on $name", ({ place: at }) => {
  const deeds = (count: number) =>
    Array.from({ length: count }, (_, index) => `d${String(index).padStart(3, "0")}`);
  const queued = (id: string) => ({ requestId: id, action: "deed", payload: id });

  test("kill -9 at any moment: what was written and the receipts agree, and nothing is in doubt", async () => {
    const place = await at();
    const guard = createGuard({ store: place.store() });
    const ids = deeds(900);
    const told = new Set<string>();
    let killed = 0;
    // However fast the machine is, a round ends long before the deeds do.
    for (let round = 0; round < 6 && told.size < ids.length; round += 1) {
      const clerk = startClerk({
        address: place.address,
        do: "ask",
        effect: "transactional",
        ids: ids.filter((id) => !told.has(id)),
        leaseMs: 200,
      });
      const enough = Math.random() * 60;
      await until(() => clerk.lines().length > enough);
      clerk.child.kill("SIGKILL");
      if ((await clerk.dead) === "SIGKILL") killed += 1;
      for (const id of clerk.lines()) told.add(id);
      const settled = new Set(await agree(place, guard));
      for (const id of told) expect(settled).toContain(id);
      expect(await idsOf(guard, "IN_DOUBT")).toEqual([]);
    }
    expect(killed).toBeGreaterThan(1);
    // What is left is done by one that lives.
    const last = startClerk({
      address: place.address,
      do: "ask",
      effect: "transactional",
      ids,
      leaseMs: 200,
    });
    expect(await last.dead).toBe(0);
    expect(await agree(place, guard)).toEqual(ids);
    expect(await guard.verify()).toMatchObject({ ok: true });
  });

  test("control: an opaque effect by its own connection disagrees with its case", async () => {
    const place = await at();
    const guard = createGuard({ store: place.store() });
    const clerk = startClerk({
      address: place.address,
      do: "ask",
      effect: "opaque",
      ids: ["d1"],
      dieAt: "after the effect, before its receipt",
    });
    expect(await clerk.dead).toBe("SIGKILL");
    expect(await place.deeds()).toEqual(["d1"]);
    expect(await idsOf(guard, "SETTLED")).toEqual([]);
  });

  test("four workers run what was committed, once each, and never what was rolled back", async () => {
    const place = await at();
    const guard = createGuard({ store: place.store() });
    const ids = deeds(60);
    const clerks = Array.from({ length: 4 }, () =>
      // By a connection of its own, so that a second run would be seen.
      startClerk({ address: place.address, do: "work", effect: "opaque" }),
    );
    for (const id of ids) {
      for (const how of ["ROLLBACK", "COMMIT"] as const) {
        const { tx, end } = await place.begin();
        await guard.enqueue(tx, queued(how === "COMMIT" ? id : `${id} not`));
        await end(how);
      }
    }
    await until(async () => (await idsOf(guard, "SETTLED")).length === ids.length);
    await until(() => clerks.every(({ lines }) => lines().length > 0));
    for (const { child } of clerks) child.kill("SIGTERM");
    expect(await Promise.all(clerks.map(({ dead }) => dead))).toEqual([0, 0, 0, 0]);
    expect(await place.deeds()).toEqual(ids);
    expect(await idsOf(guard, "SETTLED")).toEqual(ids);
    expect((await guard.list({ limit: 1_000 })).items).toHaveLength(ids.length);
  });

  test("workers that are stopped in the midst of it leave no doubt", async () => {
    const place = await at();
    const guard = createGuard({ store: place.store() });
    const ids = deeds(80);
    for (const id of ids) await guard.enqueue(queued(id));
    for (let round = 0; round < 3; round += 1) {
      const clerk = startClerk({ address: place.address, do: "work", effect: "opaque" });
      await until(() => clerk.lines().length > 0);
      await pause(Math.random() * 60);
      clerk.child.kill("SIGTERM");
      expect(await clerk.dead).toBe(0);
      expect(await idsOf(guard, "IN_DOUBT", "EXECUTING")).toEqual([]);
      expect(await idsOf(guard, "SETTLED")).toEqual(await place.deeds());
    }
  });

  const points = [
    "before the effect",
    "in the effect",
    "after the effect, before its receipt",
  ] as const;

  test.each(points)(
    "a worker is killed %s: another finishes, or lists the doubt",
    async (dieAt) => {
      const place = await at();
      const guard = createGuard({ store: place.store() });
      for (const effect of ["transactional", "opaque"] as const) {
        await guard.enqueue(queued(effect));
        const config = { address: place.address, do: "work", effect, leaseMs: 300 } as const;
        expect(await startClerk({ ...config, dieAt }).dead).toBe("SIGKILL");
        expect(await idsOf(guard, "EXECUTING")).toEqual([effect]);
        const other = startClerk(config);
        await until(async () => (await idsOf(guard, "EXECUTING", "FINAL")).length === 0);
        other.child.kill("SIGTERM");
        expect(await other.dead).toBe(0);
      }
      expect(await idsOf(guard, "SETTLED")).toEqual(["transactional"]);
      expect(await idsOf(guard, "IN_DOUBT")).toEqual(["opaque"]);
      const written = dieAt === "before the effect" ? [] : ["opaque"];
      expect(await place.deeds()).toEqual([...written, "transactional"]);
    },
  );

  test("a case that kills each of its workers is void in the end", async () => {
    const place = await at();
    const guard = createGuard({ store: place.store() });
    await guard.enqueue(queued("poison"));
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const clerk = startClerk({
        address: place.address,
        do: "work",
        effect: "transactional",
        leaseMs: 200,
        dieAt: "in the effect",
      });
      expect(await clerk.dead).toBe("SIGKILL");
    }
    const worker = createGuard({ store: place.store(), leaseMs: 200 });
    let starts = 0;
    worker.wrap("deed", {
      effect: "transactional",
      key: (id: string) => id,
      maxAttempts: 2,
      run: (id: string, { tx }) => {
        starts += 1;
        return insert(tx, place.address.table, id);
      },
    });
    const end = new AbortController();
    const work = worker.work({ signal: end.signal, everyMs: 20 });
    await until(async () => (await guard.case("poison").get())?.state === "VOID");
    end.abort();
    await work;
    expect(starts).toBe(0);
    expect(await guard.receipt("poison")).toMatchObject({
      effect: "none",
      reason: "not_performed",
      note: "it was tried 2 times",
    });
    expect(await place.deeds()).toEqual([]);
  });
});
