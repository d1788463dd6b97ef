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
