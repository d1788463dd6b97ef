import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createGuard } from "../../src/index.ts";
import { patchedSource, realSource } from "../patched-source.ts";
import type { Scenario } from "./scenarios.ts";
import type { Ground } from "./trial.ts";

/** Makes places for so many trials at a time. */
export async function makeGrounds(
  scratch: string,
  scenarios: readonly Scenario[],
  count: number,
): Promise<Ground[]> {
  const template = join(scratch, "template.db");
  await makeTemplate(template);
  const sources = new Map<Scenario, string>();
  for (const [index, scenario] of scenarios.entries()) {
    const { patches } = scenario;
    if (patches === undefined) continue;
    const folder = join(scratch, `patched-${index + 1}`);
    mkdirSync(folder);
    sources.set(scenario, patchedSource(folder, patches));
  }
  const shared = {
    template,
    compiled: join(scratch, "compiled"),
    sourceOf: (scenario: Scenario) => sources.get(scenario) ?? realSource,
  };
  return Array.from({ length: count }, (_, index) => ({
    ...shared,
    folder: join(scratch, `trial-${index + 1}`),
  }));
}

/** A database with finished cases, closed. */
async function makeTemplate(path: string): Promise<void> {
  const guard = createGuard({ store: path });
  for (const number of [1, 2, 3]) {
    const requestId = `earlier ${number}`;
    await guard.execute({ requestId, action: "pay", payload: { requestId }, run: () => number });
  }
  await guard.close();
}
