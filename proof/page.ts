import { span } from "../src/cli/progress.ts";
import type { Arm } from "./campaign.ts";
import { holds, scoreOf } from "./judge.ts";
import type { Run } from "./record.ts";
import { countsText, figureText, runsText } from "./words.ts";

const from = "<!-- drawn from proof.json: from here -->";
const until = "<!-- drawn from proof.json: to here -->";

/** The page with what is between its marks drawn anew. */
export function pageWith(page: string, runs: readonly Run[]): string {
  const start = page.indexOf(from);
  const end = page.indexOf(until);
  if (start < 0 || end < start) throw new Error("docs/proof.md has lost the marks of its tables.");
  return `${page.slice(0, start + from.length)}\n\n${drawn(runs)}\n\n${page.slice(end)}`;
}

function drawn(runs: readonly Run[]): string {
  if (runs.length === 0) return "Nothing has been recorded yet.";
  return [overview(runs), ...runs.map(section)].join("\n\n");
}

function overview(runs: readonly Run[]): string {
  return table(
    ["campaign", "arms", "as expected", "size", "seed", "commit", "date", "time"],
    [1, 2, 4],
    runs.map((run) => {
      const { passed, failed } = scoreOf([{ ...run, findings: run.findings }]);
      return [
        `[${run.campaign}](#${run.campaign})`,
        figureText(passed + failed),
        failed === 0 ? figureText(passed) : `**${figureText(passed)}**`,
        run.size,
        String(run.seed),
        commitText(run),
        run.date,
        span(run.seconds),
      ];
    }),
  );
}

function section(run: Run): string {
  const { arms } = run.findings;
  const rows = arms.map((arm) => [
    arm.role,
    arm.name,
    runsText(arm),
    countsText(arm),
    expectedText(arm),
  ]);
  const parts = [
    `### ${run.campaign}`,
    run.about,
    `\`${run.command}\` at commit ${commitText(run)}, on ${run.date}, in ${span(run.seconds)}, on ${run.machine}, with Node ${run.node}.`,
    table(["", "arm", "runs", "counted", "as expected"], [2], rows),
    ...examples("What the controls ran into, one each:", arms.filter(isCaught), 1),
    ...examples(
      "What was not as expected:",
      arms.filter((arm) => !holds(arm)),
      10,
    ),
  ];
  return parts.join("\n\n");
}

const isCaught = (arm: Arm) => arm.role === "control" && holds(arm);

function expectedText(arm: Arm): string {
  if (holds(arm)) return "yes";
  return arm.runs === 0 ? "**no: nothing was run**" : "**no**";
}

function commitText({ commit, changed }: Run): string {
  return changed ? `${commit.slice(0, 10)} with changes` : commit.slice(0, 10);
}

function examples(title: string, arms: readonly Arm[], most: number): readonly string[] {
  const lines = arms.flatMap(({ name, failures }) =>
    failures.length === 0
      ? []
      : [name, ...failures.slice(0, most).map((text) => `  ${oneLine(text)}`)],
  );
  return lines.length === 0 ? [] : [title, ["```text", ...lines, "```"].join("\n")];
}

const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

function table(
  heads: readonly string[],
  figures: readonly number[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellText).join(" | ")} |`;
  const rule = heads.map((_, column) => (figures.includes(column) ? "---:" : "---"));
  return [line(heads), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

const cellText = (text: string) => oneLine(text).replaceAll("|", "\\|");
