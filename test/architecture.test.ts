import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";

/** The source files: path below src/ → text. */
type Tree = ReadonlyMap<string, string>;
/** Reads a tree and says what is wrong with it, one line each. */
type Rule = (tree: Tree) => string[];

// Which rooms a room may import, besides itself. A room is a folder of src/, or index.ts.
const floors: Readonly<Record<string, readonly string[]>> = {
  core: [],
  guard: ["core"],
  stores: ["core"],
  "index.ts": ["guard", "stores", "core"],
  testing: ["index.ts", "core"],
  adapters: ["index.ts"],
  http: ["index.ts"],
  "mcp-proxy": ["index.ts"],
  cli: ["index.ts", "stores", "testing", "mcp-proxy"],
};

const token = /"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/.*|\/\*[\s\S]*?\*\//g;
const withoutComments = (text: string) => text.replace(token, (t) => (t[0] === "/" ? "" : t));
const withoutStrings = (text: string) =>
  withoutComments(text).replace(/"(?:\\.|[^"\\\n])*"/g, '""');

const room = (path: string) => path.split("/")[0]!;

function imports(path: string, text: string): string[] {
  const found = withoutComments(text).matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g);
  return [...found].map(([, name]) =>
    name!.startsWith(".") ? posix.join(posix.dirname(path), name!) : `package ${name}`,
  );
}

/** A rule about single imports: `wrong` says whether `from` may not import `to`. */
const importRule =
  (wrong: (from: string, to: string) => boolean): Rule =>
  (tree) =>
    [...tree].flatMap(([from, text]) =>
      imports(from, text)
        .filter((to) => wrong(from, to))
        .map((to) => `${from} imports ${to}`),
    );

const isPackage = (to: string) => to.startsWith("package ");
const crosses = (from: string, to: string) => !isPackage(to) && room(from) !== room(to);

const keepsTo = (name: string): Rule =>
  importRule(
    (from, to) => room(from) === name && crosses(from, to) && !floors[name]!.includes(room(to)),
  );

const circles: Rule = (tree) => {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(" > "));
    if (done.has(path)) return;
    done.add(path);
    for (const to of imports(path, tree.get(path) ?? "")) walk(to, [...trail, path]);
  };
  for (const path of tree.keys()) walk(path, []);
  return found;
};

const impure =
  /\b(Date\.now|new Date|Math\.random|await|setTimeout)\b|\b(process|performance|crypto)\./g;
const vague = /(^|\/)(utils?|helpers?|common|types|managers?)(\.ts|\/)/;
const small = (path: string) => new Map([[path, "\n".repeat(351)]]);
const bad = (path: string, text: string) => new Map([[path, text]]);

// Each rule, and a small tree that breaks it with what must be said about it.
const rules: readonly (readonly [name: string, rule: Rule, broken: Tree, says: string])[] = [
  [
    "every file lives in a known room",
    (tree) => [...tree.keys()].filter((path) => !(room(path) in floors)),
    bad("shed/rake.ts", ""),
    "shed/rake.ts",
  ],
  [
    "core imports only core",
    keepsTo("core"),
    bad("core/case.ts", 'import type { G } from "../guard/guard.ts";'),
    "core/case.ts imports guard/guard.ts",
  ],
  [
    "guard imports only core",
    keepsTo("guard"),
    bad("guard/guard.ts", 'export * from "../stores/memory.ts";'),
    "guard/guard.ts imports stores/memory.ts",
  ],
  [
    "stores import only core",
    keepsTo("stores"),
    bad("stores/memory.ts", 'import {\n  a,\n} from "../guard/commit.ts";'),
    "stores/memory.ts imports guard/commit.ts",
  ],
  [
    "index.ts imports only guard, stores and core",
    keepsTo("index.ts"),
    bad("index.ts", 'export { laws } from "./testing/store-laws.ts";'),
    "index.ts imports testing/store-laws.ts",
  ],
  [
    "testing imports only index.ts and core",
    keepsTo("testing"),
    bad("testing/faults.ts", 'import "../guard/commit.ts";'),
    "testing/faults.ts imports guard/commit.ts",
  ],
  [
    "adapters import only index.ts",
    keepsTo("adapters"),
    bad("adapters/ai-sdk.ts", 'import { x } from "../core/json.ts";'),
    "adapters/ai-sdk.ts imports core/json.ts",
  ],
  [
    "http imports only index.ts",
    keepsTo("http"),
    bad("http/answer.ts", 'import { x } from "../adapters/tool.ts";'),
    "http/answer.ts imports adapters/tool.ts",
  ],
  [
    "mcp-proxy imports only index.ts",
    keepsTo("mcp-proxy"),
    bad("mcp-proxy/gate.ts", 'import { x } from "../http/answer.ts";'),
    "mcp-proxy/gate.ts imports http/answer.ts",
  ],
  [
    "cli imports neither core nor guard",
    keepsTo("cli"),
    bad("cli/list.ts", 'const { transition } = await import("../core/transition.ts");'),
    "cli/list.ts imports core/transition.ts",
  ],
  [
    "nothing imports cli, and only cli imports testing",
    importRule(
      (from, to) =>
        crosses(from, to) &&
        (room(to) === "cli" || (room(to) === "testing" && room(from) !== "cli")),
    ),
    bad("stores/sqlite.ts", 'import { x } from "../testing/faults.ts";'),
    "stores/sqlite.ts imports testing/faults.ts",
  ],
  [
    "no circle, type imports included",
    circles,
    new Map([
      ["core/a.ts", 'import type { B } from "./b.ts";'],
      ["core/b.ts", 'import { c } from "./c.ts";'],
      ["core/c.ts", 'export type { A } from "./a.ts";'],
    ]),
    "core/a.ts > core/b.ts > core/c.ts > core/a.ts",
  ],
  [
    "node: only in guard/platform.ts, stores, mcp-proxy and cli",
    importRule(
      (from, to) =>
        to.startsWith("package node:") &&
        !/^(guard\/platform\.ts|stores\/|mcp-proxy\/|cli\/)/.test(from),
    ),
    bad("guard/execute.ts", 'import { hash } from "node:crypto";'),
    "guard/execute.ts imports package node:crypto",
  ],
  [
    "packages only in cli, and there only commander; LangChain's messages in its adapter",
    importRule(
      (from, to) =>
        isPackage(to) &&
        !to.startsWith("package node:") &&
        !(room(from) === "cli" && to === "package commander") &&
        !(from === "adapters/langchain.ts" && to.startsWith("package @langchain/core/")),
    ),
    bad("stores/sqlite.ts", 'import { Command } from "commander";'),
    "stores/sqlite.ts imports package commander",
  ],
  [
    "core has no clock, no randomness, no waiting and no process",
    (tree) =>
      [...tree]
        .filter(([path]) => room(path) === "core")
        .flatMap(([path, text]) =>
          (withoutStrings(text).match(impure) ?? []).map((w) => `${path}: ${w}`),
        ),
    bad("core/case.ts", '// new Date\nconst say = "await"; const t = Date.now();'),
    "core/case.ts: Date.now",
  ],
  [
    "no file over 350 lines",
    (tree) => [...tree].filter(([, text]) => text.split("\n").length > 351).map(([path]) => path),
    small("core/transition.ts"),
    "core/transition.ts",
  ],
  [
    "no file named utils, helpers, common, types or manager",
    (tree) => [...tree.keys()].filter((path) => vague.test(path)),
    bad("guard/utils.ts", ""),
    "guard/utils.ts",
  ],
];

const source = new URL("../src/", import.meta.url);
const house: Tree = new Map(
  readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => [path.replaceAll("\\", "/"), readFileSync(new URL(path, source), "utf8")]),
);

test("every room of the table exists", () => {
  expect(new Set([...house.keys()].map(room))).toEqual(new Set(Object.keys(floors)));
});

describe.each(rules)("%s", (_name, rule, broken, says) => {
  test("holds", () => expect(rule(house)).toEqual([]));
  test("is seen when broken", () => expect(rule(broken)).toEqual([says]));
});
