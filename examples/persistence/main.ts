import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// Two processes, one after the other, on one file: the second gets the receipt of the first.
const program = fileURLToPath(new URL("./charge.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "safeagent-persistence-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

const start = () => execFileSync(process.execPath, [program, folder], { encoding: "utf8" }).trim();
const [first = "", second = ""] = [start(), start()];
const card = readFileSync(join(folder, "card.log"), "utf8");

console.log(`first process     ${first}`);
console.log(`second process    ${second}`);
console.log(`the card's log    ${card.trim()}`);
assert.match(first, /^ran st_/);
assert.equal(second, first.replace("ran", "replayed"));
assert.equal(card, "charged 1999 cents\n");
