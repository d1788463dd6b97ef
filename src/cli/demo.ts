import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { paintFor } from "./colour.ts";
import { disagree, replyLost, workerKilled } from "./demo/acts.ts";
import { journalOf } from "./demo/journal.ts";
import { countOf, judged, wanted } from "./demo/judge.ts";
import { openStage } from "./demo/stage.ts";
import { type Stop, stopOn } from "./demo/stop.ts";
import { createTable, type Result, type Table } from "./demo/table.ts";
import { each } from "./demo/task.ts";
import { exits } from "./failure.ts";

interface DemoOptions {
  readonly fast?: boolean;
  readonly keep?: boolean;
  readonly json?: boolean;
}

/** Milliseconds a row stays the last one, so that a person can read along. */
const rowMs = 480;

/** `safeagent demo`: three ordinary failures, without and with the guard. */
export function demo(): Command {
  return new Command("demo")
    .summary("three ordinary failures, without and with the guard (5 s)")
    .description(
      "One agent, one help desk, three ordinary failures, without and with the guard.\nReal processes, real HTTP, on this machine; no key, no network, nothing to set up.",
    )
    .option("--fast", "no pauses between the rows")
    .option("--keep", "keep the store's file, and print where it is")
    .option("--json", "print one JSON object instead of the table")
    .action(async (options: DemoOptions) => {
      const stop = stopOn(process);
      try {
        process.exitCode = await perform(options, stop);
      } finally {
        stop.release();
      }
    });
}

async function perform(options: DemoOptions, stop: Stop): Promise<number> {
  const { fast = false, keep = false, json = false } = options;
  const table = createTable({
    write: (text) => void (json || process.stdout.write(text)),
    paint: paintFor(process.stdout, process.env),
    rowMs: fast || json ? 0 : rowMs,
    signal: stop.signal,
  });
  try {
    const result = await played(table, keep, stop);
    const verdict = judged(result.counted, result.journal);
    if (json) {
      const data = { acts: table.acts(), wanted, ...result };
      const failure = verdict.ok ? {} : { code: "demo_failed", message: verdict.says };
      process.stdout.write(`${JSON.stringify({ ok: verdict.ok, data, ...failure }, null, 2)}\n`);
    } else {
      table.foot(result);
      if (!verdict.ok) process.stderr.write(`safeagent: ${verdict.says}\n`);
    }
    return verdict.ok ? 0 : exits.failed;
  } catch (error) {
    table.breakOff();
    if (stop.exit === undefined) throw error;
    if (!stop.isUnread) {
      // A terminal has just shown "^C" there.
      const apart = process.stderr.isTTY ? "\n" : "";
      process.stderr.write(
        `${apart}safeagent: stopped; what the demo had started is ended and removed.\n`,
      );
    }
    return stop.exit;
  }
}

/** Plays the three acts and counts, on a stage that is gone when this ends, however it ends. */
async function played(table: Table, keep: boolean, stop: Stop): Promise<Result> {
  const startedMs = performance.now();
  const stage = openStage();
  const play = async (): Promise<Result> => {
    table.head();
    await stage.open();
    await replyLost(stage, table);
    await workerKilled(stage, table);
    await disagree(stage, table);
    return {
      counted: await each(async (side) => countOf(await stage.desk(side).books())),
      journal: await journalOf(stage.store),
      seconds: (performance.now() - startedMs) / 1_000,
      ...(keep ? { kept: stage.keep() } : {}),
    };
  };
  try {
    return await stop.unlessStopped(play());
  } catch (error) {
    // Ctrl-C reaches the children too, and a child's end may be heard of before the signal itself.
    await sleep(50);
    throw error;
  } finally {
    await stage.close();
  }
}
