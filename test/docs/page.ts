import { execFile } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../../", import.meta.url));

/** The pages a reader may open, as paths below the root. */
export const pages: readonly string[] = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => `docs/${path.replaceAll("\\", "/")}`)
    .sort(),
];

export const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

const fence = /^(`{3,})(\w*)\s*$/;

/** The lines of a page with the language of the block they stand in; "" outside of all blocks. */
export function linesOf(markdown: string): { readonly line: string; readonly language: string }[] {
  let open: { readonly ticks: string; readonly language: string } | undefined;
  return markdown.split("\n").map((line) => {
    const [, ticks = "", language = ""] = fence.exec(line) ?? [];
    if (open === undefined && ticks !== "") {
      open = { ticks, language: language || "text" };
      return { line, language: "fence" };
    }
    if (open !== undefined && ticks === open.ticks) {
      open = undefined;
      return { line, language: "fence" };
    }
    return { line, language: open?.language ?? "" };
  });
}

/**
 * The TypeScript of a page as one program, each line at the place it has on the page, so that an
 * error names the page's own line. The blocks of a page follow one another, as a reader reads them.
 */
export function programOf(markdown: string): string {
  return linesOf(markdown)
    .map(({ line, language }) => (language === "ts" || language === "js" ? line : ""))
    .join("\n");
}

/** What a page says its program prints: the texts after `// => `, in order. */
export function expectedOf(program: string): readonly string[] {
  return program.split("\n").flatMap((line) => {
    const at = line.indexOf("// => ");
    return at < 0 ? [] : [line.slice(at + "// => ".length).trimEnd()];
  });
}

/** What the package offers, by its name: the source of each. */
const faces: ReadonlyMap<string, string> = new Map(
  Object.entries(
    (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: object }).exports,
  ).flatMap(([name, face]) => {
    const built = (face as { readonly default?: string }).default;
    const source = built?.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    return source === undefined ? [] : [[`safeagent${name.slice(1)}`, source]];
  }),
);

function overSources(program: string): string {
  return program.replace(/ from "(safeagent(?:\/[\w-]+)?)";/g, (whole, name: string) => {
    const path = faces.get(name);
    return path === undefined ? whole : ` from ${JSON.stringify(join(root, path))};`;
  });
}

export interface PageRun {
  readonly code: number;
  readonly printed: readonly string[];
  readonly errors: string;
}

/** Runs a page's program in an empty directory of its own. */
export function runPage(markdown: string): Promise<PageRun> {
  const folder = programFolder({ "page.ts": programOf(markdown) });
  const done = Promise.withResolvers<PageRun>();
  const options = { cwd: folder, timeout: 60_000, encoding: "utf8" } as const;
  execFile(process.execPath, ["page.ts"], options, (error, stdout, stderr) => {
    rmSync(folder, { recursive: true });
    const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
    const printed = stdout.split("\n").slice(0, -1);
    done.resolve({ code, printed, errors: stderr });
  });
  return done.promise;
}

/** What the compiler says about the programs of several pages. The sources are checked elsewhere. */
export function typeErrors(programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = programFolder(programs);
  const done = Promise.withResolvers<string>();
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const args = [compiler, "-p", folder, "--pretty", "false"];
  execFile(process.execPath, args, { encoding: "utf8", cwd: root }, (_error, stdout) => {
    rmSync(folder, { recursive: true });
    done.resolve(stdout.replace(/^src\/.*\n(?: .*\n)*/gm, "").trim());
  });
  return done.promise;
}

function programFolder(programs: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "safeagent-page-"));
  const config = {
    extends: relative(folder, join(root, "tsconfig.json")),
    // The sources are imported by their absolute paths, which nothing has to rewrite.
    compilerOptions: { rewriteRelativeImportExtensions: false },
    include: ["*.ts"],
  };
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [file, text] of Object.entries(programs)) {
    writeFileSync(join(folder, file), overSources(text));
  }
  return folder;
}
