import { parseArgs } from "node:util";

export type Part = "fresh" | "replay" | "growth" | "processes";
export type StoreName = "memory" | "sqlite" | "postgres";

export interface Options {
  /** Of each measurement, after a warm-up of a third of it. */
  readonly seconds: number;
  readonly rounds: number;
  readonly parts: readonly Part[];
  readonly stores: readonly StoreName[];
  /** Receipts in the store before a growth measurement. */
  readonly sizes: readonly number[];
  /** Waits for other processes, and repeats what they disturbed. */
  readonly patient: boolean;
  readonly output: "plain" | "markdown" | "json";
}

export const usage = `npm run bench -- [options]

  --quick           one short round, and growth up to 10^5 receipts: at most 90 seconds
  --seconds N       of each measurement (default 2.5)
  --rounds N        the systems take turns; medians are reported (default 3)
  --only PARTS      of fresh,replay,growth,processes (the last one on Postgres)
  --stores STORES   of memory,sqlite,postgres (default memory,sqlite); for postgres a server is started
  --receipts SIZES  receipts in the store before growth, as 1000,1000000 (default up to 10^6, on postgres 10^5)
  --patient         wait for other processes to be quiet, and repeat, up to 4 times, what they disturbed
  --json            one line of JSON a measurement
  --markdown        tables for docs/performance.md
`;

const parts: readonly Part[] = ["fresh", "replay", "growth", "processes"];
const stores: readonly StoreName[] = ["memory", "sqlite", "postgres"];
const defaultStores = "memory,sqlite";

/** Throws an Error with a sentence for the user. */
export function optionsOf(args: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "boolean" },
      markdown: { type: "boolean" },
      patient: { type: "boolean" },
      quick: { type: "boolean" },
      seconds: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string" },
      stores: { type: "string" },
      receipts: { type: "string" },
    },
  });
  if (values.help === true) return "help";
  const isQuick = values.quick === true;
  const rounds = positive("--rounds", values.rounds ?? (isQuick ? "1" : "3"));
  if (!Number.isInteger(rounds)) throw new Error("--rounds must be a whole number.");
  const used = chosen("--stores", values.stores ?? defaultStores, stores);
  const isLarge = !isQuick && !used.includes("postgres");
  const sizes = isLarge ? [1e3, 1e5, 1e6] : [1e3, 1e5];
  return {
    seconds: positive("--seconds", values.seconds ?? (isQuick ? "0.8" : "2.5")),
    rounds,
    parts: chosen("--only", values.only, parts),
    stores: used,
    sizes: values.receipts?.split(",").map((text) => positive("--receipts", text)) ?? sizes,
    patient: values.patient === true,
    output: values.json === true ? "json" : values.markdown === true ? "markdown" : "plain",
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name} must be a number above 0.`);
}

function chosen<T extends string>(name: string, text: string | undefined, all: readonly T[]): T[] {
  const words = text?.split(",") ?? all;
  const known = all.filter((word) => words.includes(word));
  if (known.length > 0 && known.length === words.length) return known;
  throw new Error(`${name} takes ${all.join(",")}, or some of them.`);
}
