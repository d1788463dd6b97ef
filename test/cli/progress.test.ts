import { describe, expect, test } from "vitest";
import { createProgress, progressText } from "../../src/cli/progress.ts";

function shown(isTTY: boolean) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const screen = { isTTY, columns: 60, write: (text: string) => written.push(text) };
  return { written, clock, progress: createProgress("model", screen, () => clock.ms) };
}

describe("the progress", () => {
  test("says how far it is, how fast it goes and when it will be over", () => {
    const moment = { name: "power-loss", done: 500, of: 2_000, note: "torn", seconds: 10 };
    expect(progressText(moment, false)).toBe(
      "power-loss  25 %  500 of 2,000  50/s  30 s left  torn",
    );
    expect(progressText(moment, true)).toBe(
      "power-loss  [######------------------]  25 %  500 of 2,000  50/s  30 s left  torn",
    );
  });

  test.each([
    [{ done: 0, of: 0, seconds: 0 }, "x  0 %  0 of 0"],
    [{ done: 0, of: 8, seconds: 5 }, "x  0 %  0 of 8"],
    [{ done: 1, of: 3, seconds: 20 }, "x  33 %  1 of 3  3/min  40 s left"],
    [{ done: 9, of: 8, seconds: 9 }, "x  100 %  9 of 8  1/s  0 s left"],
  ])("of %j is no nonsense", (moment, text) => {
    expect(progressText({ name: "x", note: undefined, ...moment }, false)).toBe(text);
  });

  test("is a bar that is drawn over itself on a terminal, and is gone in the end", () => {
    const { written, clock, progress } = shown(true);
    progress.show(0, 100);
    progress.show(1, 100);
    clock.ms = 1_000;
    progress.show(50, 100, "a note that is much too long to stand on one line");
    progress.end();
    expect(written).toHaveLength(3);
    expect(written.every((text) => text.startsWith("\r\u001b[2K"))).toBe(true);
    expect(written[1]!.slice("\r\u001b[2K".length)).toHaveLength(59);
    expect(written.join("")).not.toContain("\n");
  });

  test("is a line now and then elsewhere", () => {
    const { written, clock, progress } = shown(false);
    for (clock.ms = 0; clock.ms <= 40_000; clock.ms += 10) progress.show(clock.ms, 40_000);
    progress.end();
    expect(written).toEqual([
      "model  37 %  15,000 of 40,000  1,000/s  25 s left\n",
      "model  75 %  30,000 of 40,000  1,000/s  10 s left\n",
    ]);
  });
});
