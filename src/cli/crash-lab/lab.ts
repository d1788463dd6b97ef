import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGuard } from "../../index.ts";
import { audited } from "./audit.ts";
import { createChildren } from "./child.ts";
import { controls } from "./controls.ts";
import type { Finding } from "./finding.ts";
import { ledgerAt } from "./ledger-client.ts";
import type { KeeperName } from "./message.ts";
import { killAtPoints } from "./named.ts";
import { namedPlan } from "./plan.ts";
import { createPool, type Pool } from "./pool.ts";
import { killAtRandom } from "./random.ts";
import { createScene, type Scene } from "./scene.ts";
import { openStore } from "./store.ts";
import { defenceFinding } from "./verdict.ts";
import { stopPastLeases, stopPlan } from "./zombies.ts";

export interface LabOptions {
  /** The address of the store to be tried; null: a file of the lab's own, removed at the end. */
  readonly store: string | null;
  /** Kills at named points, and at random times. */
  readonly named: number;
  readonly random: number;
  /** Workers stopped past their lease. */
  readonly zombies: number;
  /** Effects cut off by kills, stops and throws in each of the four controls. */
  readonly controls: number;
  /** What is done to which case comes from it; when a kill hits is the machine's own chance. */
  readonly seed: number;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  readonly progress: (done: number, of: number, note: string) => void;
  /** The command that does the same again. */
  readonly again: string;
}

export interface LabResult {
  readonly findings: readonly Finding[];
  /** Where the guard's cases are, in the store. */
  readonly namespace: string;
}

/** Short, so that a stopped worker's end is soon; long enough for a live one on a busy machine. */
const leaseMs = 400;
/** How long a request that was lost with its worker may still be on its way to the ledger. */
const settlingMs = 150;
const workersAhead = 3;

/** Kills and stops real processes around a real store, and judges what came of it. */
export async function runLab(options: LabOptions): Promise<LabResult> {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-crash-lab-"));
  const children = createChildren(join(folder, "compiled"));
  const sweepUp = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const over = new AbortController();
  // For an end that nobody foresaw.
  process.once("exit", sweepUp);
  try {
    const store = options.store ?? join(folder, "safeagent.db");
    const namespace = `crash-lab-${randomUUID()}`;
    await tryStore(store, namespace);
    await children.compile();
    const ledgerPort = await children.ledger();
    const pool = createPool(children, workersAhead);
    const signal = AbortSignal.any([options.signal, over.signal]);
    const lab = { ...options, signal, store, folder, namespace, ledgerPort, pool };
    const stopped = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => stopped.reject(signal.reason));
    return { namespace, findings: await Promise.race([played(lab), stopped.promise]) };
  } finally {
    // Where one part has failed, the others must not go on.
    over.abort(new Error("the lab has ended"));
    await children.end();
    process.off("exit", sweepUp);
    sweepUp();
  }
}

/** Says what is wrong with an address before anything is started. */
async function tryStore(address: string, namespace: string): Promise<void> {
  const store = openStore(address);
  try {
    await createGuard({ store, namespace }).list({ limit: 1 });
  } finally {
    await store.close();
  }
}

interface Lab extends LabOptions {
  readonly store: string;
  readonly folder: string;
  readonly namespace: string;
  readonly ledgerPort: number;
  readonly pool: Pool;
}

async function played(lab: Lab): Promise<readonly Finding[]> {
  const of = lab.named + lab.random + lab.zombies + 4 * lab.controls;
  let done = 0;
  const step = (note: string) => () => {
    done = Math.min(of, done + 1);
    lab.progress(done, of, note);
  };
  const kills = async () => [
    ...(lab.named > 0 ? [await named(lab, step("kills at named points"))] : []),
    ...(lab.random > 0 ? [await random(lab, step("kills at random times"))] : []),
  ];
  const rest = async () => [
    ...(lab.zombies > 0 ? [await zombies(lab, step("stops past the lease"))] : []),
    ...(lab.controls > 0 ? await unguarded(lab, step("controls, without the guard")) : []),
  ];
  // Side by side: whoever is stopped mostly waits.
  return (await Promise.all([kills(), rest()])).flat();
}

function unguarded(lab: Lab, onDone: () => void): Promise<readonly Finding[]> {
  return controls((name, keeper) => sceneOf(lab, name, keeper), lab.controls, onDone);
}

async function named(lab: Lab, onKill: () => void): Promise<Finding> {
  const scene = sceneOf(lab, "named", "guard");
  const plan = namedPlan(lab.named, leaseMs, scene.chance("plan"));
  const { kills, fired, missed } = await killAtPoints(scene, plan, onKill);
  return defenceFinding(scene.cases(), await audited(scene), {
    name: "killed at a named point",
    runs: kills,
    wanted: lab.named,
    unit: "kills",
    counts: { "points reached": fired.size },
    void: missed.map((point) => `void: never killed ${point}`),
    again: lab.again,
  });
}

async function random(lab: Lab, onKill: () => void): Promise<Finding> {
  const scene = sceneOf(lab, "random", "guard");
  const { kills, cutOff } = await killAtRandom(scene, lab.random, onKill);
  const audit = await audited(scene);
  const { book } = audit.history;
  // Between the beginning of the call and the death of its process.
  const happened = cutOff.filter(({ caseId, began, died }) => {
    const at = book[caseId]?.happenedAt ?? null;
    return at !== null && at >= began && at <= died;
  });
  return defenceFinding(scene.cases(), audit, {
    name: "killed at a random time",
    runs: kills,
    wanted: lab.random,
    unit: "kills",
    counts: { "calls cut off": cutOff.length, "after their effect": happened.length },
    void: happened.length > 0 ? [] : ["void: no kill hit a call after its effect"],
    again: lab.again,
  });
}

async function zombies(lab: Lab, onZombie: () => void): Promise<Finding> {
  const scene = sceneOf(lab, "zombies", "guard");
  const { zombies: runs, missed } = await stopPastLeases(scene, stopPlan(lab.zombies), onZombie);
  return defenceFinding(scene.cases(), await audited(scene), {
    name: "stopped past its lease",
    runs,
    wanted: lab.zombies,
    unit: "stops",
    counts: {},
    void: missed.map((point) => `void: never stopped ${point}`),
    again: lab.again,
  });
}

/** Each scene has a namespace of its own, so that no sweep touches another one's cases. */
function sceneOf(lab: Lab, name: string, keeper: KeeperName): Scene {
  const { seed, pool, ledgerPort, signal, store } = lab;
  const config = {
    keeper,
    store,
    namespace: `${lab.namespace} ${name}`,
    file: join(lab.folder, `${name}.db`),
    ledgerPort,
    leaseMs,
    settlingMs,
  };
  return createScene({ name, seed, config, pool, ledger: ledgerAt(ledgerPort), signal });
}
