import type { Paint } from "../colour.ts";
import type { Finding } from "./finding.ts";

/** Whether the lab has shown what it must: the defence held, and the controls failed. */
export function isHeld(findings: readonly Finding[]): boolean {
  const isTried = findings.some(({ role }) => role === "defence");
  return isTried && findings.every(({ asExpected }) => asExpected);
}

/** What was found, as text: one table for the guard, one for the controls, and what was wrong. */
export function reportOf(findings: readonly Finding[], paint: Paint): string {
  const parts = [
    { title: "with the guard", role: "defence" },
    { title: "without: these have to fail", role: "control" },
  ] as const;
  const tables = parts.flatMap(({ title, role }) => {
    const found = findings.filter((one) => one.role === role);
    return found.length === 0 ? [] : [tableOf(title, found, paint)];
  });
  const failures = findings.flatMap((one) => one.failures.map((says) => `${one.name}: ${says}`));
  const list = failures.map((says) => `  ${paint("bad", says)}\n`).join("");
  return `${tables.join("\n")}\n${list}${list === "" ? "" : "\n"}`;
}

const margin = "  ";

/** A column for each finding, a row for each count that one of them has. */
function tableOf(title: string, findings: readonly Finding[], paint: Paint): string {
  const names = [...new Set(findings.flatMap(({ counts }) => Object.keys(counts)))];
  const labels = [title, "", "times", ...names, "as it must be"];
  const columns = findings.map((one) => [
    ...headOf(one.name),
    one.runs.toLocaleString("en-US"),
    ...names.map((name) => one.counts[name]?.toLocaleString("en-US") ?? ""),
    one.asExpected ? "yes" : "NO",
  ]);
  const wide = widthOf(labels);
  const rows = labels.map((label, row) => {
    const cells = columns.map((column) => {
      const text = (column[row] ?? "").padStart(widthOf(column) + margin.length);
      if (row < labels.length - 1) return text;
      return paint(column[row] === "yes" ? "good" : "bad", text);
    });
    const start = row === 0 ? paint("strong", label.padEnd(wide)) : label.padEnd(wide);
    return `${margin}${start}${cells.join("")}`.trimEnd();
  });
  return `${rows.join("\n")}\n`;
}

/** A name on two lines, broken where it is about half. */
function headOf(name: string): readonly [string, string] {
  const words = name.split(" ");
  const half = Math.ceil(words.length / 2);
  return [words.slice(0, half).join(" "), words.slice(half).join(" ")];
}

function widthOf(texts: readonly string[]): number {
  return Math.max(...texts.map((text) => text.length));
}
