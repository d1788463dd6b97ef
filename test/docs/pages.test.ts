import { describe, expect, test } from "vitest";
import { expectedOf, pages, programOf, runPage, textOf, typeErrors } from "./page.ts";

const withPrograms = pages.filter((page) => programOf(textOf(page)).trim() !== "");

/** Pages with a test file of their own. */
const apart = ["README.md", "docs/coming-from-python.md"];

const block = (code: string) => `# A page\n\n\`\`\`ts\n${code}\n\`\`\`\n`;

test.each(withPrograms.filter((page) => !apart.includes(page)))(
  "the code on %s runs and prints what the page says",
  async (page) => {
    const { code, printed, errors } = await runPage(textOf(page));
    expect(errors).toBe("");
    expect(printed).toEqual(expectedOf(programOf(textOf(page))));
    expect(code).toBe(0);
  },
);

test("the code on every page fits its types", async () => {
  const programs = withPrograms.map((page) => [
    page.replaceAll("/", "-").replace(".md", ".ts"),
    programOf(textOf(page)),
  ]);
  expect(await typeErrors(Object.fromEntries(programs))).toBe("");
});

describe("the runner", () => {
  test("runs the library from its sources", async () => {
    const page = block(
      'import { createGuard } from "safeagent";\nconsole.log(typeof createGuard); // => function',
    );
    expect(await runPage(page)).toEqual({ code: 0, printed: ["function"], errors: "" });
  });

  test("sees a wrong expectation", async () => {
    const page = block("console.log(1 + 1); // => 3");
    const { printed } = await runPage(page);
    expect(printed).not.toEqual(expectedOf(programOf(page)));
  });

  test("sees a line that was not reached", async () => {
    const page = block("if (Date.now() < 0) console.log(1); // => 1");
    expect((await runPage(page)).printed).not.toEqual(expectedOf(programOf(page)));
  });

  test("sees an error, and names the page's line", async () => {
    const { code, errors } = await runPage(block('\nthrow new Error("as meant");'));
    expect(code).toBe(1);
    expect(errors).toContain("page.ts:5");
  });

  test("sees a wrong type", async () => {
    const page = block('const count: number = "three";\nconsole.log(count);');
    expect(await typeErrors({ "wrong.ts": programOf(page) })).toContain("wrong.ts(4,7)");
  });
});
