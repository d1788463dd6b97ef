import { describe, expect, test } from "vitest";
import { campaigns } from "../../proof/campaigns.ts";
import { pageWith } from "../../proof/page.ts";
import { published } from "../../proof/publish.ts";
import { arm, run } from "./campaigns.ts";

const frame = (inside: string) =>
  `# Proof\n\n<!-- drawn from proof.json: from here -->${inside}<!-- drawn from proof.json: to here -->\n\nMore.\n`;

const draw = (...runs: Parameters<typeof pageWith>[1]) => pageWith(frame("\nold\n"), runs);

test("docs/proof.md is what docs/proof.json says", () => {
  const { page, runs } = published();
  expect(pageWith(page, runs)).toBe(page);
});

test.each(campaigns)("docs/proof.md says what $name does not show", ({ name }) => {
  const limits = published().page.split("\n## What it does not show\n")[1] ?? "";
  expect(limits.split("\n").filter((line) => line.startsWith(`| ${name} | `))).toHaveLength(1);
});

describe("a page", () => {
  test("changes between its marks only, and drawn again not at all", () => {
    const page = draw(run());
    expect(page.startsWith("# Proof\n\n")).toBe(true);
    expect(page.endsWith("\n\nMore.\n")).toBe(true);
    expect(page).not.toContain("old");
    expect(pageWith(page, [run()])).toBe(page);
    expect(pageWith(page, [])).toBe(frame("\n\nNothing has been recorded yet.\n\n"));
  });

  test("without marks is an error", () => {
    expect(() => pageWith("# Proof\n", [])).toThrow("lost the marks");
  });

  test("says of each arm what was run, what was counted and whether it was as expected", () => {
    const page = draw(run());
    expect(page).toContain(
      "| defence | killed at a named point | 2,000 kills | effects doubled: 0; doubts listed: 40 | yes |",
    );
    expect(page).toContain(
      "`npm run prove -- --only crash-lab --seed 7` at commit 0123456789, on 2026-01-02, in 1 min 2 s, on 2 cores (a CPU), 4 GiB, Linux 6.1, with Node v24.0.0.",
    );
    expect(page).toContain(
      "| [crash-lab](#crash-lab) | 1 | 1 | full | 7 | 0123456789 | 2026-01-02 | 1 min 2 s |",
    );
  });

  test("hides no failure, no empty arm and no uncommitted change", () => {
    const arms = [
      arm({ name: "a", asExpected: false, failures: ["seed 1", "seed 2"] }),
      arm({ name: "b", runs: 0 }),
    ];
    const page = draw(run({ changed: true, findings: { arms } }));
    expect(page).toContain("| a | 2,000 kills | effects doubled: 0; doubts listed: 40 | **no** |");
    expect(page).toContain("| **no: nothing was run** |");
    expect(page).toContain("What was not as expected:\n\n```text\na\n  seed 1\n  seed 2\n```");
    expect(page).toContain("| 2 | **0** |");
    expect(page).toContain("0123456789 with changes");
  });

  test("shows one thing that each control ran into", () => {
    const control = arm({ role: "control", name: "retry", failures: ["doubled\nat 3", "again"] });
    const page = draw(run({ findings: { arms: [arm(), control] } }));
    expect(page).toContain("one each:\n\n```text\nretry\n  doubled at 3\n```");
    expect(page).not.toContain("again");
  });

  test("is not broken by what stands in a cell", () => {
    const page = draw(run({ findings: { arms: [arm({ name: "a | b\nc" })] } }));
    expect(page).toContain("| a \\| b c |");
  });
});
