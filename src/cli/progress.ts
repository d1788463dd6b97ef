/** Shows how far something long is: a bar on a terminal, a line now and then elsewhere. */
export interface Progress {
  readonly show: (done: number, of: number, note?: string) => void;
  /** Takes the bar away. */
  readonly end: () => void;
}

export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Often enough to see that it goes on, seldom enough for a log. */
const barMs = 100;
const lineMs = 15_000;

const barChars = 24;

export function createProgress(
  name: string,
  screen: Screen,
  nowMs: () => number = () => performance.now(),
): Progress {
  const isBar = screen.isTTY === true;
  const startedMs = nowMs();
  let shownMs = isBar ? Number.NEGATIVE_INFINITY : startedMs;

  const show: Progress["show"] = (done, of, note) => {
    const now = nowMs();
    if (now - shownMs < (isBar ? barMs : lineMs)) return;
    shownMs = now;
    const text = progressText({ name, done, of, note, seconds: (now - startedMs) / 1_000 }, isBar);
    screen.write(isBar ? `\r\u001b[2K${text.slice(0, (screen.columns ?? 80) - 1)}` : `${text}\n`);
  };

  return { show, end: () => void (isBar && screen.write("\r\u001b[2K")) };
}

export interface Moment {
  readonly name: string;
  readonly done: number;
  readonly of: number;
  readonly note: string | undefined;
  readonly seconds: number;
}

export function progressText({ name, done, of, note, seconds }: Moment, isBar: boolean): string {
  const share = of > 0 ? Math.min(1, Math.max(0, done / of)) : 0;
  const filled = Math.round(share * barChars);
  const bar = `[${"#".repeat(filled)}${"-".repeat(barChars - filled)}]`;
  const rate = seconds > 0 ? done / seconds : 0;
  const left = rate > 0 ? `${span((of - done) / rate)} left` : "";
  return [
    name,
    isBar ? bar : "",
    `${Math.floor(share * 100)} %`,
    `${count(done)} of ${count(of)}`,
    rate > 0 ? rateText(rate) : "",
    left,
    note ?? "",
  ]
    .filter((part) => part !== "")
    .join("  ");
}

function rateText(perSecond: number): string {
  return perSecond < 1 ? `${count(perSecond * 60)}/min` : `${count(perSecond)}/s`;
}

/** A figure as a person reads it: whole from 100 on, else with what matters. */
function count(value: number): string {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/** Seconds as a person reads them. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
