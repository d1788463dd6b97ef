#!/usr/bin/env node
import { nodeFault } from "./node-version.ts";

// Looked at before anything is loaded: an older Node can't even read the rest.
const fault = nodeFault(process.versions.node);
if (fault === undefined) {
  try {
    const { run } = await import("./program.ts");
    process.exitCode = await run(process.argv);
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
  }
} else {
  complain(fault);
}

function complain(message: string): void {
  process.stderr.write(`safeagent: ${message}\n`);
  process.exitCode = 1;
}
