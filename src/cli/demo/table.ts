import { setTimeout as sleep } from "node:timers/promises";
import type { Paint, Tone } from "../colour.ts";
import type { JournalSummary } from "./journal.ts";
import { type Tally, wanted } from "./judge.ts";
import type { Side } from "./task.ts";

/** What one side did in one row. */
export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
  /** The receipt's name, where there is one. */
  readonly receipt?: string;
}

export interface ActShown {
  readonly title: string;
  readonly rows: { readonly label: string; readonly without: Cell; readonly with: Cell }[];
}

/** The drawing: rows appear as they happen, both sides at once. Only text, line after line: a pipe gets the same. */
export interface Table {
  head(): void;
  act(title: string): void;
  /** Writes the label, lets both sides play, and writes each cell as soon as it is known. */
  row(label: string, play: (side: Side) => Promise<Cell>): Promise<void>;
  foot(result: Result): void;
  /** Ends a row that is half written, since there will be no more. */
  breakOff(): void;
  /** All that was shown. */
  acts(): readonly ActShown[];
}

export interface Result {
  readonly counted: Tally;
  readonly journal: JournalSummary;
  readonly seconds: number;
  /** Where the store's file is, if it was kept. */
  readonly kept?: string;
}

export interface TableOptions {
  readonly write: (text: string) => void;
  readonly paint: Paint;
  /** Milliseconds each row takes at least. */
  readonly rowMs: number;
  /** Ends the drawing. */
  readonly signal: AbortSignal;
}

/** Characters; with the margin of two, 98 in all; only a reason without receipt may be longer. */
const width = { label: 29, without: 27, with: 31, receipt: 9 } as const;
const margin = "  ";
/** How this demo is started, in a clone and from the package. */
const again = import.meta.url.endsWith(".ts") ? "npm run demo --" : "npx safeagent demo";
const rule = "─".repeat(width.label + width.without + width.with + width.receipt);

export function createTable({ write, paint, rowMs, signal }: TableOptions): Table {
  const shown: ActShown[] = [];
  let isHalf = false;
  const line = (text = ""): void => write(text === "" ? "\n" : `${margin}${text}\n`);

  return {
    head() {
      line();
      line(
        paint("strong", "One agent, one help desk, three ordinary failures.") +
          paint("quiet", "   real processes, real HTTP, on this machine"),
      );
      line();
      line(
        " ".repeat(width.label) +
          paint("strong", "without the guard".padEnd(width.without)) +
          paint("strong", "with the guard"),
      );
      line(paint("quiet", rule));
    },
    act(title) {
      signal.throwIfAborted();
      shown.push({ title, rows: [] });
      line(paint("strong", `${shown.length}  ${title}`));
    },
    async row(label, play) {
      signal.throwIfAborted();
      const paced = sleep(rowMs, undefined, { signal });
      paced.catch(() => undefined);
      write(margin + `   ${label}`.padEnd(width.label));
      isHalf = true;
      const [without, guarded] = [play("without"), play("with")];
      // Heard below, but maybe only after the other side has failed.
      guarded.catch(() => undefined);
      const left = await without;
      write(paintedCell(left, width.without));
      const right = await guarded;
      write(
        `${paintedCell(right, right.receipt === undefined ? 0 : width.with)}${receiptOf(right)}\n`,
      );
      isHalf = false;
      shown.at(-1)?.rows.push({ label, without: left, with: right });
      await paced;
    },
    foot({ counted, journal, seconds, kept }) {
      line(paint("quiet", rule));
      const isRight = counted.with === wanted.with;
      line(
        paint("strong", "Irreversible actions".padEnd(width.label)) +
          paint("bad", String(counted.without).padEnd(width.without)) +
          paint(isRight ? "good" : "bad", String(counted.with).padEnd(width.with)) +
          `wanted: ${wanted.with}`,
      );
      line(paint("quiet", "counted by the help desk; the guard was not asked"));
      line();
      const chain = journal.unbroken ? "every hash chain holds" : "a HASH CHAIN IS BROKEN";
      const account = `${journal.entries} journal entries on ${journal.cases} cases, ${chain}`;
      line(account.padEnd(rule.length - 6) + `${seconds.toFixed(1)} s`.padStart(6));
      line("Wrap one of yours:  six lines, at the top of README.md");
      line(
        kept === undefined
          ? `Look inside:        ${again} --keep   leaves the guard's file behind`
          : `Look inside:        ${kept}`,
      );
      line();
    },
    breakOff() {
      if (isHalf) write("\n");
      isHalf = false;
    },
    acts: () => shown,
  };

  function paintedCell({ text, tone = "plain" }: Cell, wide: number): string {
    // Padding stays outside of the colour, and a cell never touches the next one.
    return paint(tone, text) + " ".repeat(Math.max(wide === 0 ? 0 : 1, wide - text.length));
  }

  function receiptOf({ receipt }: Cell): string {
    return receipt === undefined ? "" : paint("quiet", receipt.slice(0, width.receipt));
  }
}
