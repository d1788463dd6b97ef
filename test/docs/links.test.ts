import { existsSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import { linesOf, pages, root, textOf } from "./page.ts";

/** The prose of a page: no blocks, no inline code. */
const proseOf = (markdown: string) =>
  linesOf(markdown)
    .filter(({ language }) => language === "")
    .map(({ line }) => line.replace(/`[^`]*`/g, ""))
    .join("\n");

const linksOf = (markdown: string) =>
  [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);

/** The anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { line, language } of linesOf(markdown)) {
    const heading = language === "" ? /^#{1,6} (.+)$/.exec(line)?.[1] : undefined;
    if (heading === undefined) continue;
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
      .replaceAll(" ", "-");
    let name = anchor;
    for (let count = 1; anchors.has(name); count += 1) name = `${anchor}-${count}`;
    anchors.add(name);
  }
  return anchors;
}

/** What is wrong with the links of a page, one line each. */
function brokenLinks(page: string, markdown: string): readonly string[] {
  return linksOf(markdown).flatMap((target) => {
    if (target.startsWith("https://")) return [];
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? page : posix.join(posix.dirname(page), path);
    if (file.startsWith("..") || path.startsWith("/")) return [`${target} leaves the repository`];
    if (path !== "" && !existsSync(join(root, file))) return [`${target} leads nowhere`];
    if (anchor === undefined) return [];
    if (path !== "" && statSync(join(root, file)).isDirectory())
      return [`${target} has no anchors`];
    const text = path === "" ? markdown : textOf(file);
    return anchorsOf(text).has(anchor) ? [] : [`${target} has no such heading`];
  });
}

test.each(pages)("every link on %s resolves", (page) => {
  expect(brokenLinks(page, textOf(page))).toEqual([]);
});

test("every page in docs is reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const page of reached) {
    for (const target of linksOf(textOf(page))) {
      const [path = ""] = target.split("#");
      const file = posix.join(posix.dirname(page), path);
      if (pages.includes(file)) reached.add(file);
    }
  }
  expect(pages.filter((page) => page.startsWith("docs/") && !reached.has(page))).toEqual([]);
});

describe("the checker", () => {
  const seen: readonly (readonly [link: string, says: string])[] = [
    ["[x](nowhere.md)", "nowhere.md leads nowhere"],
    ["[x](README.md#no-such)", "README.md#no-such has no such heading"],
    ["[x](#no-such)", "#no-such has no such heading"],
    ["[x](../outside.md)", "../outside.md leaves the repository"],
    ["[x](/etc/hosts)", "/etc/hosts leaves the repository"],
  ];
  test.each(seen)("sees %s", (link, says) => {
    expect(brokenLinks("README.md", link)).toEqual([says]);
  });

  test("takes a right one, and leaves code alone", () => {
    const markdown =
      "# A `code_word`, here\n\n[x](#a-code_word-here) `[y](z)`\n\n```md\n[z](w)\n```\n";
    expect(brokenLinks("README.md", markdown)).toEqual([]);
  });
});
