import { startServer } from "../../test/postgres/servers/server.ts";
import { storm } from "../../test/postgres/storm.ts";
import type { Part } from "./play.ts";

const processes = 8;

/** Many processes ask one server for the same cases at once. */
export const storms: readonly Part[] = [
  {
    name: "8 processes, 3 callers of each for every case",
    role: "defence",
    unit: "cases",
    runs: { quick: 100, full: 1_000, release: 10_000 },
    async play(keys, tick) {
      const seen = await asked({ keys, callers: 3, atOnce: 16 });
      for (let key = 0; key < keys; key += 1) tick();
      return { ...seen, runs: keys };
    },
  },
  {
    name: "10,000 callers of one case, in 8 processes",
    role: "defence",
    unit: "cases",
    runs: { quick: 1, full: 1, release: 1 },
    async play(runs, tick) {
      const seen = await asked({ keys: 1, callers: 10_000 / processes, atOnce: 1 });
      tick();
      return { ...seen, runs };
    },
  },
];

async function asked(order: {
  readonly keys: number;
  readonly callers: number;
  readonly atOnce: number;
}) {
  const server = await startServer();
  try {
    const seen = await storm(processes, { url: server.url, schema: "safeagent", ...order });
    const { calls, effects, doubled, never, torn, errors, mostBytes } = seen;
    return {
      counts: {
        "calls answered": calls,
        "effects that happened": effects,
        "effects doubled": doubled,
        "cases with two receipts": torn,
        errors: errors.length,
        "MiB of memory in the largest process": Math.round(mostBytes / 2 ** 20),
      },
      wrong: [
        ...errors,
        ...(doubled > 0 ? [`${doubled} effects doubled`] : []),
        ...(never > 0 ? [`${never} effects never happened`] : []),
        ...(torn > 0 ? [`${torn} cases with two receipts`] : []),
      ],
    };
  } finally {
    await server.stop();
  }
}
