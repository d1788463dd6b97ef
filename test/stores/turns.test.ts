import { expect, test } from "vitest";
import { createTurns } from "../../src/stores/turns.ts";

/** Work that goes on until it is let go, by the name it was given. */
function works() {
  const called: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    called,
    of: (name: string) => () =>
      new Promise<string>((resolve) => {
        called.push(name);
        ends.set(name, () => resolve(name));
      }),
    async end(name: string) {
      ends.get(name)?.();
      await settled();
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("so many at a time, the others in the order they came", async () => {
  const turns = createTurns(2);
  const work = works();
  const answers = ["a", "b", "c", "d"].map((name) => turns.take(work.of(name)));
  expect(work.called).toEqual(["a", "b"]);
  await work.end("b");
  expect(work.called).toEqual(["a", "b", "c"]);
  await work.end("a");
  expect(work.called).toEqual(["a", "b", "c", "d"]);
  await work.end("c");
  await work.end("d");
  expect(await Promise.all(answers)).toEqual(["a", "b", "c", "d"]);
});

test("who gives up the wait is refused at once, and who waits behind him comes in his place", async () => {
  const turns = createTurns(1);
  const work = works();
  const first = turns.take(work.of("first"));
  const leaving = new AbortController();
  const left = turns.take(work.of("left"), leaving.signal);
  const next = turns.take(work.of("next"));
  leaving.abort();
  await expect(left).rejects.toMatchObject({ code: "store_contended", effect: "none" });
  await expect(turns.take(work.of("late"), leaving.signal)).rejects.toMatchObject({
    code: "store_contended",
  });
  await work.end("first");
  await work.end("next");
  expect(await Promise.all([first, next])).toEqual(["first", "next"]);
  expect(work.called).toEqual(["first", "next"]);
});

test("a signal does nothing once the turn has come", async () => {
  const turns = createTurns(1);
  const work = works();
  const leaving = new AbortController();
  const first = turns.take(work.of("first"), leaving.signal);
  leaving.abort();
  await work.end("first");
  expect(await first).toBe("first");
});

test("a turn that ends with an error is another's", async () => {
  const turns = createTurns(1);
  const wrong = turns.take(() => Promise.reject(new Error("as meant")));
  const next = turns.take(async () => "next");
  await expect(wrong).rejects.toThrow("as meant");
  expect(await next).toBe("next");
  expect(await turns.take(async () => "free again")).toBe("free again");
});
