import { type LabOptions, runLab } from "../src/cli/crash-lab/lab.ts";
import type { Campaign, Size } from "./campaign.ts";

/** Kills and stops of real processes around a SQLite file. */
export const crashLab: Campaign = {
  name: "crash-lab",
  about:
    "Real workers are killed (SIGKILL) at named points and at random times, and stopped (SIGSTOP) past their leases; a process outside counts the effects, and a checker that knows only the calls' beginnings and ends judges. No effect may be doubled, no acknowledged receipt lost, and every doubt must be listed.",
  hindrance: () =>
    process.platform === "win32" ? "processes can't be stopped by signal on Windows" : undefined,
  async run({ size, seed, progress }) {
    const again = `npm run prove -- --only crash-lab --seed ${seed} --size ${size}`;
    const options: LabOptions = {
      ...figures[size],
      store: null,
      seed,
      again,
      progress,
      signal: new AbortController().signal,
    };
    return { arms: (await runLab(options)).findings };
  },
};

/** Quick is every named point once; the release is what the page is published with. */
const figures: {
  readonly [S in Size]: Pick<LabOptions, "named" | "random" | "zombies" | "controls">;
} = {
  quick: { named: 38, random: 20, zombies: 10, controls: 3 },
  full: { named: 300, random: 300, zombies: 100, controls: 20 },
  release: { named: 2_000, random: 2_000, zombies: 1_000, controls: 60 },
};
