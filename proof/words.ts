import type { Arm } from "./campaign.ts";

/** How figures are written, in the terminal and on the page. */

export function figureText(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

export function runsText({ runs, unit }: Arm): string {
  return `${figureText(runs)} ${unit}`;
}

export function countsText({ counts }: Arm): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}: ${figureText(count)}`)
    .join("; ");
}

/** Seconds as a person reads them. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
