import type { History } from "../../testing/history.ts";
import type { Finding } from "./finding.ts";
import type { KeeperName } from "./message.ts";
import { killAtPoints } from "./named.ts";
import type { Item } from "./plan.ts";
import type { Point } from "./point.ts";
import type { Scene } from "./scene.ts";
import { controlFinding } from "./verdict.ts";
import { stopPastLeases } from "./zombies.ts";

/** A scene without the guard: one of the naive registries keeps order there. */
export type MakeScene = (name: string, keeper: KeeperName) => Scene;

/**
 * The same kills, stops and throws, judged by the same checker, without the guard. Only effects that
 * had happened by then are cut off: each of them should be doubled by the next one who asks.
 */
export async function controls(
  makeScene: MakeScene,
  count: number,
  onDone: () => void,
): Promise<readonly Finding[]> {
  const leases = makeScene("control leases", "retry on lease end");
  const killed = await killAtPoints(leases, itemsAt([afterIt], count), onDone);

  const stops = makeScene("control stops", "retry on lease end");
  const plan = Array.from({ length: count }, () => ({ class: "opaque", point: afterIt }) as const);
  const stopped = await stopPastLeases(stops, plan, onDone);

  const throws = makeScene("control throws", "forget on throw");
  const thrown = await throwAfterIt(throws, count, onDone);

  const memory = makeScene("control memory", "in memory");
  const points = [afterIt, "answered by the guard, before the caller is"] as const;
  const lost = await killAtPoints(memory, itemsAt(points, count), onDone);

  return [
    await judged("retry on lease end, killed", leases, killed.caseIds),
    await judged("retry on lease end, stopped", stops, stopped.caseIds),
    await judged("forget on throw", throws, thrown),
    await judged("in-memory registry, killed", memory, lost.caseIds),
  ];
}

const afterIt: Point = "in the effect, after it happened";

function itemsAt(points: readonly Point[], count: number): readonly Item[] {
  return Array.from({ length: count }, (_, index) => ({
    class: "opaque",
    point: points[index % points.length] ?? afterIt,
    setup: null,
    decision: undefined,
    effect: {},
    before: "nothing",
    kills: "ask",
  }));
}

/** The reply to each effect is lost; then another process asks for the same case. */
async function throwAfterIt(
  scene: Scene,
  count: number,
  onDone: () => void,
): Promise<readonly string[]> {
  const [first, second] = [await scene.take(), await scene.take()];
  const caseIds: string[] = [];
  for (let done = 0; done < count; done += 1) {
    scene.signal.throwIfAborted();
    const kase = scene.open("opaque");
    await scene.ask(first, kase, { effect: { ends: "throws" } });
    await scene.ask(second, kase);
    caseIds.push(kase.caseId);
    onDone();
  }
  first.kill();
  second.kill();
  return caseIds;
}

async function judged(name: string, scene: Scene, should: readonly string[]): Promise<Finding> {
  const book = await scene.ledger.book(scene.prefix);
  const history: History = { calls: scene.calls(), book, doubts: [], resolved: [] };
  return controlFinding(name, history, should);
}
