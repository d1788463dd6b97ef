import { parseArgs } from "node:util";
import type { Size } from "./campaign.ts";

export interface Options {
  readonly size: Size;
  readonly seed: number;
  /** Names of campaigns, in the order in which they are run. */
  readonly only: readonly string[];
  /** Keeps what was found, and draws the page anew. */
  readonly write: boolean;
  /** Writes also where the tree is not what was committed; the record says so. */
  readonly anyway: boolean;
}

export function usageOf(campaigns: readonly string[]): string {
  return `npm run prove -- [options]

Runs every campaign, about 30 minutes in all. The last line counts the arms.

  --quick         about 3 minutes
  --release       as long as it takes: the figures of the page
  --size SIZE     quick, full or release (default full)
  --seed N        the first seed (default 1)
  --only NAMES    of ${campaigns.join(",")}
  --write         keep what was found in docs/proof.json, and draw docs/proof.md anew
  --anyway        with --write: also with changes that are not committed; the record says so
`;
}

const sizes: readonly Size[] = ["quick", "full", "release"];

/** Throws an Error with a sentence for the user. */
export function optionsOf(args: readonly string[], campaigns: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h" },
      quick: { type: "boolean" },
      release: { type: "boolean" },
      size: { type: "string" },
      seed: { type: "string" },
      only: { type: "string" },
      write: { type: "boolean" },
      anyway: { type: "boolean" },
    },
  });
  if (values.help === true) return "help";
  const named = [
    values.size,
    values.quick === true ? "quick" : undefined,
    values.release === true ? "release" : undefined,
  ].filter((name) => name !== undefined);
  if (named.length > 1) throw new Error("Give one size.");
  const size = sizes.find((one) => one === (named[0] ?? "full"));
  if (size === undefined) throw new Error(`--size takes ${sizes.join(", ")}.`);
  const seed = Number(values.seed ?? "1");
  if (!Number.isSafeInteger(seed) || seed < 0 || values.seed === "")
    throw new Error("--seed must be a whole number from 0 on.");
  const wanted = values.only?.split(",") ?? campaigns;
  const unknown = wanted.filter((name) => !campaigns.includes(name));
  if (unknown.length > 0)
    throw new Error(`No campaign "${unknown.join(",")}": there are ${campaigns.join(", ")}.`);
  return {
    size,
    seed,
    only: campaigns.filter((name) => wanted.includes(name)),
    write: values.write === true,
    anyway: values.anyway === true,
  };
}
