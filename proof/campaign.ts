/**
 * One programme of the proof: something is done many times, and what came of it is counted.
 * Its findings are plain data; the page is drawn from them, and from nothing else.
 */
export interface Campaign {
  /** Names it on the command line and in the record: `simulation`, `power-loss`. */
  readonly name: string;
  /** One sentence for the page: what is done, and what must come of it. */
  readonly about: string;
  /** Says where it can't run here (a program that is missing) before anything is started; undefined: it can. */
  readonly hindrance?: () => string | undefined;
  run(options: CampaignOptions): Promise<Findings>;
}

/**
 * - `quick`: half a minute at most, on every change;
 * - `full`: a few minutes;
 * - `release`: the figures that the page is published with.
 */
export type Size = "quick" | "full" | "release";

export interface CampaignOptions {
  readonly size: Size;
  /** The first seed; everything random in a campaign comes from seeds counted up from here. */
  readonly seed: number;
  /** Called as it goes on, as often as one likes. `note`: what is being done right now. */
  readonly progress: (done: number, of: number, note?: string) => void;
}

export interface Findings {
  readonly arms: readonly Arm[];
}

/** One kind of run in a campaign: with the defence, or with it off. */
export interface Arm {
  /** What was run: "opaque, killed at a named point". */
  readonly name: string;
  /** A defence must hold. A control must fail: if it doesn't, the campaign has shown nothing. */
  readonly role: "defence" | "control";
  /** How often, and of what: 2,000 kills. */
  readonly runs: number;
  readonly unit: string;
  /** What was counted, in the order of the page: { "effects doubled": 0, "doubts listed": 40 }. */
  readonly counts: Readonly<Record<string, number>>;
  /** What came of it is what had to: nothing wrong with the defence, enough wrong with the control. */
  readonly asExpected: boolean;
  /** What was wrong, the first few, each with the command that shows it again. */
  readonly failures: readonly string[];
}

/** How many failures an arm names; the rest is only counted. */
export const namedFailures = 10;
