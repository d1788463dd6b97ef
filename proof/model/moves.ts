/** One row of the model's table: in this state, this event leads to that state. */
export interface Move {
  readonly event: string;
  readonly from: string;
  readonly to: string;
  /** Heard only under the fence of the case's latest claim. */
  readonly fenced: boolean;
}

/** The rows of the table in a model's text, without those of the broken variants. */
export function movesOf(text: string): readonly Move[] {
  const whole = text.replace(/^#if[\s\S]*?^#endif$/gm, "");
  const rows = whole.matchAll(/^ +(MOVE|FENCED)\((\w+), (\w+), (\w+)\)/gm);
  return [...rows].map(([, kind = "", event = "", from = "", to = ""]) => ({
    event,
    from,
    to,
    fenced: kind === "FENCED",
  }));
}
