import { notPerformed } from "./effect.ts";
import { problem } from "./problem.ts";
import type { Settings } from "./settings.ts";

/** Under whose rules a request's handler runs. */
interface Guarding {
  readonly settings: Settings<never>;
  readonly principal: string | null;
}

const guardings = new WeakMap<object, Guarding>();

/** By what a request is known again. */
export interface Marks {
  /** The framework's own request, which comes by once; null: there is but the fetch request. */
  readonly framework: object | null;
  /** What `effectOf` takes. A fetch request may be handed in twice by its owner. */
  readonly raw: object;
}

/** Keeps in mind that a request is guarded, for as long as its handler runs. */
export async function whileGuarded<T>(
  { framework, raw }: Marks,
  guarding: Guarding,
  handle: () => Promise<T>,
): Promise<T> {
  const marks = framework === null ? [raw] : [raw, framework];
  for (const mark of marks) guardings.set(mark, guarding);
  try {
    return await handle();
  } finally {
    for (const mark of marks) guardings.delete(mark);
  }
}

/** Who guards a request already, where a guard is met again on the way to its handler. */
export function guardingOf(settings: Settings<never>, marks: Marks): Guarding | undefined {
  const known = marks.framework === null ? undefined : guardings.get(marks.framework);
  if (known !== undefined) return known;
  const guarding = guardings.get(marks.raw);
  // Handed in twice to one and the same guard, it is a repeat.
  return guarding?.settings === settings ? undefined : guarding;
}

/**
 * What a guard within another one does: nothing, where both have the same rules. To pass over other
 * rules would run what they hold back, so those are refused, and the key stays free.
 */
export async function within<R>(
  settings: Settings<R>,
  request: R,
  outer: Guarding,
): Promise<"through" | Response> {
  if (settings === (outer.settings as unknown)) return "through";
  const principal = await settings.principal?.(request);
  if (settings.principal !== null && (typeof principal !== "string" || principal === "")) {
    return notPerformed(problem("unauthorized"));
  }
  if (isSame(settings, outer.settings) && (principal ?? null) === outer.principal) return "through";
  return notPerformed(problem("invalid_request", { detail: differ }));
}

const differ =
  "Nothing was executed. This request is guarded twice on the server, by different rules. Guard it once, or by the same rules.";

function isSame<R>(inner: Settings<R>, outer: Settings<never>): boolean {
  const { guard, action, means, probe } = inner;
  return (
    guard === outer.guard &&
    action === outer.action &&
    means === outer.means &&
    probe === outer.probe &&
    JSON.stringify([inner.terms, inner.ignore]) === JSON.stringify([outer.terms, outer.ignore])
  );
}
