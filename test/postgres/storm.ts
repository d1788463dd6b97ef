import { fork } from "node:child_process";
import { once } from "node:events";

/** What one process of a storm is told. */
export interface StormOrder {
  readonly url: string;
  readonly schema: string;
  /** Cases are numbered; each process asks for all of them. */
  readonly keys: number;
  /** Calls for each case in each process, all at once. */
  readonly callers: number;
  /** Cases that a process asks for at a time. */
  readonly atOnce: number;
  readonly me: number;
}

export interface StormAnswer {
  /** The cases whose effect it ran. */
  readonly ran: readonly number[];
  readonly errors: readonly string[];
  /** For each call: the case, and the hash of the receipt's text. */
  readonly receipts: readonly (readonly [number, string])[];
  /** The most memory that it was seen to have. */
  readonly mostBytes: number;
}

export interface Storm {
  readonly effects: number;
  /** Cases whose effect ran more than once, or never. */
  readonly doubled: number;
  readonly never: number;
  /** Cases with two receipts that differ. */
  readonly torn: number;
  readonly calls: number;
  readonly errors: readonly string[];
  readonly mostBytes: number;
}

const program = new URL("./programs/storm.ts", import.meta.url);

/** Processes that ask for the same cases at once, counted from outside. */
export async function storm(
  processes: number,
  order: Omit<StormOrder, "me">,
  signal?: AbortSignal,
): Promise<Storm> {
  const children = Array.from({ length: processes }, (_, me) =>
    fork(program, [JSON.stringify({ ...order, me } satisfies StormOrder)], { execArgv: [] }),
  );
  const end = (): void => {
    for (const child of children) child.kill("SIGKILL");
  };
  signal?.addEventListener("abort", end);
  process.once("exit", end);
  try {
    await Promise.all(children.map((child) => once(child, "message")));
    const told = children.map((child) => once(child, "message"));
    for (const child of children) child.send("begin");
    const answers = (await Promise.all(told)).map(([answer]) => answer as StormAnswer);
    return counted(answers, order.keys);
  } finally {
    process.removeListener("exit", end);
    end();
  }
}

function counted(answers: readonly StormAnswer[], keys: number): Storm {
  const times = new Map<number, number>();
  const texts = new Map<number, Set<string>>();
  for (const { ran, receipts } of answers) {
    for (const key of ran) times.set(key, (times.get(key) ?? 0) + 1);
    for (const [key, hash] of receipts) texts.set(key, (texts.get(key) ?? new Set()).add(hash));
  }
  return {
    effects: answers.reduce((sum, { ran }) => sum + ran.length, 0),
    doubled: [...times.values()].filter((count) => count > 1).length,
    never: keys - times.size,
    torn: [...texts.values()].filter((hashes) => hashes.size > 1).length,
    calls: answers.reduce((sum, { receipts }) => sum + receipts.length, 0),
    errors: answers.flatMap(({ errors }) => errors),
    mostBytes: Math.max(...answers.map(({ mostBytes }) => mostBytes)),
  };
}
