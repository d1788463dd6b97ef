/** What one part of the lab found: with the defence, or with it off. Plain data. */
export interface Finding {
  readonly name: string;
  /** A defence must hold. A control must fail: if it doesn't, the lab has shown nothing. */
  readonly role: "defence" | "control";
  readonly runs: number;
  readonly unit: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly asExpected: boolean;
  /** What was wrong, the first few. */
  readonly failures: readonly string[];
}

/** How many failures a finding names; the rest is only counted. */
export const namedFailures = 10;
