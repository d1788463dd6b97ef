import { describe, expect, test } from "vitest";
import { endingOf, describe as inALine } from "../../src/guard/ending.ts";
import { NotPerformed } from "../../src/index.ts";

const coded = (code: string, more: object = {}) => Object.assign(new Error("no"), { code }, more);
const kindOf = (error: unknown, onError?: Parameters<typeof endingOf>[1]) =>
  endingOf(error, onError).kind;

describe("what certainly did not happen", () => {
  test.each<readonly [string, unknown]>([
    ["a refused connection", coded("ECONNREFUSED")],
    ["a host that is not found", coded("ENOTFOUND")],
    ["a name server that is away", coded("EAI_AGAIN")],
    ["as fetch says it", new TypeError("fetch failed", { cause: coded("ECONNREFUSED") })],
    [
      "as fetch says it of a host with several addresses",
      new TypeError("fetch failed", {
        cause: Object.assign(new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]), {
          code: "ECONNREFUSED",
        }),
      }),
    ],
    ["every address tried", new AggregateError([coded("ECONNREFUSED"), coded("ENOTFOUND")])],
    [
      "the cause of a cause",
      new Error("a", { cause: new Error("b", { cause: coded("ENOTFOUND") }) }),
    ],
    ["what is no Error, but says so", { code: "ECONNREFUSED" }],
  ])("%s", (_name, error) => {
    expect(endingOf(error, undefined)).toMatchObject({ kind: "not_performed", final: false });
  });

  test("as the effect says itself, for now or for good", () => {
    expect(endingOf(new NotPerformed("declined"), undefined)).toEqual({
      kind: "not_performed",
      reason: "declined",
      final: false,
    });
    expect(endingOf(new NotPerformed("declined", { final: true }), undefined)).toEqual({
      kind: "not_performed",
      reason: "declined",
      final: true,
    });
  });

  test("said by the class of another copy of the package", () => {
    const foreign = Object.assign(new Error("declined"), {
      final: true,
      [Symbol.for("safeagent.NotPerformed")]: true,
    });
    expect(endingOf(foreign, undefined)).toMatchObject({ kind: "not_performed", final: true });
  });
});

describe("what says nothing", () => {
  const deep = [1, 2, 3, 4, 5].reduce(
    (cause: Error, level) => new Error(String(level), { cause }),
    coded("ECONNREFUSED"),
  );
  const circle = new Error("round");
  circle.cause = circle;

  test.each<readonly [string, unknown]>([
    ["an error", new Error("no")],
    ["a reset connection", coded("ECONNRESET")],
    ["a time-out", coded("ETIMEDOUT")],
    ["a broken pipe", coded("EPIPE")],
    ["an aborted call", new DOMException("aborted", "AbortError")],
    [
      "one address of several that was reached",
      new AggregateError([coded("ECONNREFUSED"), coded("ECONNRESET")]),
    ],
    ["no address at all", new AggregateError([])],
    ["a code as text in the message", new Error("connect ECONNREFUSED 127.0.0.1:1")],
    ["a cause too deep down", deep],
    ["a circle of causes", circle],
    ["a text", "ECONNREFUSED"],
    ["nothing", undefined],
    ["null", null],
  ])("%s", (_name, error) => {
    expect(endingOf(error, undefined)).toMatchObject({ kind: "unknown", reason: "threw" });
  });
});

describe("onError", () => {
  test("has the last word, both ways", () => {
    expect(kindOf(new Error("429"), () => "not_performed")).toBe("not_performed");
    expect(kindOf(coded("ECONNREFUSED"), () => "unknown")).toBe("unknown");
  });

  test("is handed the error, and may leave it to the guard", () => {
    const error = coded("ECONNREFUSED");
    const seen: unknown[] = [];
    const word = (one: unknown) => {
      seen.push(one);
      return undefined;
    };
    expect(kindOf(error, word)).toBe("not_performed");
    expect(kindOf(new Error("no"), word)).toBe("unknown");
    expect(seen[0]).toBe(error);
  });

  test("that says something else has said nothing", () => {
    for (const word of ["settled", true, null, Promise.resolve("not_performed")]) {
      expect(kindOf(new Error("no"), () => word as never)).toBe("unknown");
      expect(kindOf(coded("ECONNREFUSED"), () => word as never)).toBe("not_performed");
    }
  });

  test("that throws leaves it unknown, whatever the error was", () => {
    const broken = () => {
      throw new Error("broken");
    };
    expect(kindOf(coded("ECONNREFUSED"), broken)).toBe("unknown");
    expect(kindOf(new Error("no"), broken)).toBe("unknown");
  });

  test("is not asked about the effect's own word", () => {
    expect(kindOf(new NotPerformed("declined"), () => "unknown")).toBe("not_performed");
  });
});

describe("an error in a line", () => {
  test.each<readonly [unknown, string]>([
    [new TypeError("wrong"), "TypeError: wrong"],
    [coded("ECONNRESET"), "Error ECONNRESET: no"],
    [Object.assign(new Error("no"), { code: 7 }), "Error: no"],
    ["a text", "a text"],
    [undefined, "undefined"],
    [Symbol("s"), "Symbol(s)"],
    [new Error("\ud800!"), "Error: \ufffd!"],
  ])("%s", (error, line) => {
    expect(inALine(error)).toBe(line);
  });

  test("of at most 2,000 characters", () => {
    expect(inALine(new Error("x".repeat(3_000)))).toHaveLength(2_000);
    expect(endingOf(new NotPerformed("x".repeat(3_000)), undefined)).toMatchObject({
      reason: "x".repeat(2_000),
    });
  });
});
