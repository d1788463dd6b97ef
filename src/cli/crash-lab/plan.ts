import type { Chance } from "../../testing/chance.ts";
import { type Class, classes, type EffectPlan } from "./message.ts";
import { moments, type Point, type Written, writePoint, written } from "./point.ts";

/** One case to be killed at a named point. */
export interface Item {
  readonly class: Class;
  readonly point: Point;
  /** Where an earlier worker is killed first: the point lies in what is done about that. */
  readonly setup: Point | null;
  /** What the case has to be for the point to be reached. */
  readonly decision: "go" | "stop" | undefined;
  readonly effect: Partial<EffectPlan>;
  /** What is asked before the ask that is killed, by the same worker: the first request, or nothing. */
  readonly before: "ask" | "nothing";
  /** What is killed: an ask under the first request's name, under a new one, or a person's word. */
  readonly kills: "ask" | "another ask" | "resolve";
}

/** All points, in the order of a case's life. */
export const points: readonly Point[] = [
  ...(Object.keys(written) as Written[]).flatMap((event) => [
    writePoint("before", event),
    writePoint("after", event),
  ]),
  ...moments,
];

/**
 * So many items that they make at least `kills` kills. Every point comes once with one class, then
 * once with the next one, and so on, so that any number is spread as evenly as it can be.
 */
export function namedPlan(kills: number, leaseMs: number, chance: Chance): readonly Item[] {
  const items: Item[] = [];
  let planned = 0;
  for (let round = 0; planned < kills; round += 1) {
    const made = points.map((point, index) => itemAt(point, index + round, round, leaseMs, chance));
    for (const item of chance.shuffled(made)) {
      if (planned >= kills) break;
      items.push(item);
      planned += item.setup === null ? 1 : 2;
    }
  }
  return items;
}

/** Points at which the first worker leaves a case behind, its effect done or not. */
const leaving: readonly Point[] = [
  "after the claim is written",
  "in the effect, before it happens",
  "in the effect, its request on the way",
  "in the effect, after it happened",
];

/** Points that a second claim of a case has as well. */
const again: ReadonlySet<Point> = new Set([
  "before the claim is written",
  "after the claim is written",
  "in the effect, before it happens",
  "in the effect, after it happened",
  "before the settle is written",
  "after the settle is written",
]);

function itemAt(point: Point, turn: number, round: number, leaseMs: number, chance: Chance): Item {
  const kind = classes[turn % classes.length] ?? "opaque";
  const item: Item = {
    class: kind,
    point,
    setup: null,
    decision: undefined,
    effect: point === "in the effect, its request on the way" ? { onTheWayMs: 20 } : {},
    before: "nothing",
    kills: "ask",
  };
  switch (point) {
    case "before the opening is written":
    case "after the opening is written":
    case "before a signal is written":
    case "after a signal is written":
    case "before the decision is written":
    case "after the decision is written":
      return { ...item, decision: chance.happens(0.7) ? "go" : "stop" };
    case "before a renewal is written":
    case "after a renewal is written": {
      const happens = chance.happens(0.5) ? "first" : "last";
      return { ...item, effect: { takesMs: leaseMs, happens } };
    }
    case "before the doubt is written":
    case "after the doubt is written":
      return { ...item, effect: { ends: "throws" } };
    case "before the release is written":
    case "after the release is written":
      return { ...item, effect: { ends: "not performed" } };
    case "before another ask is written":
    case "after another ask is written":
      return { ...item, before: "ask", kills: "another ask" };
    case "before the lease's end is written":
    case "after the lease's end is written":
      return { ...item, setup: chance.pick(leaving) };
    case "before the probe's finding is written":
    case "after the probe's finding is written":
    case "in the probe, before it asks":
    case "in the probe, after it was answered":
      return { ...item, class: "probeable", setup: chance.pick(leaving) };
    case "before a person's word is written":
    case "after a person's word is written":
      return {
        ...item,
        class: "opaque",
        setup: chance.pick(leaving),
        before: "ask",
        kills: "resolve",
      };
    case "before the claim is written":
    case "after the claim is written":
    case "before the settle is written":
    case "after the settle is written":
    case "in the effect, before it happens":
    case "in the effect, its request on the way":
    case "in the effect, after it happened":
    case "answered by the guard, before the caller is":
      return { ...item, setup: secondClaim(kind, point, round) };
  }
}

/** Every other time, where the class has one at all, the point lies in a second claim of the case. */
function secondClaim(kind: Class, point: Point, round: number): Point | null {
  if (!again.has(point) || Math.floor(round / classes.length) % 2 === 0) return null;
  switch (kind) {
    case "opaque":
      return null;
    case "keyed":
    case "idempotent":
      return "in the effect, after it happened";
    case "probeable":
      // Only where the probe finds nothing is it claimed again.
      return "in the effect, before it happens";
  }
}
