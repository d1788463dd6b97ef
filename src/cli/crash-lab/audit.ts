import type { History } from "../../testing/history.ts";
import { createRecovery } from "./recovery.ts";
import type { Kase, Scene } from "./scene.ts";

/** What is to be judged, and what it was made of. */
export interface Audited {
  readonly history: History;
  /** Doubts that were listed, and how many of them a person has cleared. */
  readonly listed: number;
}

/**
 * Ends a scene: a person clears half of the doubts that are listed, what was cleared is asked for
 * again, and a fresh process reads the receipt of every request that was ever made.
 */
export async function audited(scene: Scene): Promise<Audited> {
  const worker = await scene.take();
  await worker.send({ do: "sweep" });
  const listed = new Set(await worker.send({ do: "doubts" }));
  const chance = scene.chance("audit");
  const resolved: Kase[] = [];
  for (const kase of scene.cases()) {
    if (!listed.has(kase.caseId) || !chance.happens(0.5)) continue;
    await scene.resolve(worker, kase);
    resolved.push(kase);
  }
  worker.kill();

  const recovery = createRecovery(scene);
  for (const kase of resolved) recovery.add(kase, "now");
  await recovery.all();

  const reader = await scene.take();
  await scene.readReceipts(reader, requests(scene));
  const doubts = (await reader.send({ do: "doubts" })) ?? [];
  reader.kill();
  const book = await scene.ledger.book(scene.prefix);
  const ids = resolved.map(({ caseId }) => caseId);
  return {
    history: { calls: scene.calls(), book, doubts, resolved: ids },
    listed: listed.size,
  };
}

/** Every request that was ever made, once: what a sweep settled was told to nobody yet. */
function requests(scene: Scene): readonly { caseId: string; requestId: string }[] {
  const named = new Map(
    scene.calls().map(({ caseId, requestId }) => [requestId, { caseId, requestId }]),
  );
  // A person's word is no request.
  for (const { caseId } of scene.cases()) named.delete(`${caseId} by a person`);
  return [...named.values()];
}
