import { describe, expect, test } from "vitest";
import type * as here from "../../src/core/errors.ts";
import {
  assert,
  errorTable,
  factsOf,
  GuardError,
  type GuardErrorCode,
  isGuardError,
  isNotPerformed,
  isStoreTrouble,
  NotPerformed,
} from "../../src/core/errors.ts";
import type { Outcome } from "../../src/core/outcome.ts";

// The same file under another address is another module: a second copy of the package.
const address = "../../src/core/errors.ts?second-copy";
const there = (await import(address)) as typeof here;

const codes = Object.keys(errorTable) as GuardErrorCode[];

test("the codes are those of the design, with their HTTP status", () => {
  expect(Object.fromEntries(codes.map((code) => [code, errorTable[code].http]))).toEqual({
    invalid_request: 400,
    unauthorized: 401,
    forbidden: 403,
    not_found: 404,
    payload_conflict: 422,
    held: 409,
    retired: 410,
    over_limit: 413,
    store_unavailable: 503,
    store_contended: 503,
    store_outdated: 500,
    store_corrupt: 500,
    broken_invariant: 500,
  });
});

const waits =
  "Not executed. Do not call again now; say that it is not done, and continue with other work.";
const corrects =
  "Not executed: the arguments are not acceptable. Correct them before calling again.";
const unknown =
  "Not executed by this call; whether an earlier one did it can't be looked up now. Do not call again now; say that it is not known, and continue with other work.";
const forModel: { readonly [code in GuardErrorCode]?: string } = {
  invalid_request: corrects,
  over_limit: corrects,
  store_unavailable: unknown,
  store_contended: unknown,
  store_outdated: unknown,
  store_corrupt: unknown,
  payload_conflict:
    "Not executed: something else was asked for under this name before. Do not try another name; tell the person who asked.",
  retired:
    "Not executed by this call: this name was used before and is closed. Do not call it again, and not under another name; tell the person who asked.",
};

describe.each(codes)("%s", (code) => {
  test("has a status, an exit code and a remedy that is a sentence", () => {
    const { http, exit, remedy } = errorTable[code];
    expect(http).toBeGreaterThanOrEqual(400);
    expect(exit).toBeGreaterThan(0);
    expect(remedy).toMatch(/^[A-Z].*\.$/);
  });

  test.each([
    ["none", "Nothing was executed."],
    ["unknown", "It may have been executed."],
  ] as const)("says first what happened to the effect: %s", (effect, first) => {
    const error = new GuardError(code, "The facts.", { effect });
    expect(error.message).toBe(`${first} The facts. ${errorTable[code].remedy}`);
    expect(error.effect).toBe(effect);
    expect(error.docs).toBe(`docs/errors.md#${code}`);
  });

  test("tells a model not to try again, or what to correct", () => {
    expect(new GuardError(code, "x").forModel).toBe(forModel[code] ?? waits);
    expect(new GuardError(code, "x", { effect: "unknown" }).forModel).toBe(
      "Unknown whether this ran. Do not call it again. A person is checking; continue with other work.",
    );
  });
});

describe("GuardError", () => {
  test("says nothing was executed where nobody says otherwise", () => {
    expect(new GuardError("held", "x").effect).toBe("none");
  });

  test("carries what it was given", () => {
    const cause = new Error("below");
    const error = new GuardError("not_found", "No such case.", {
      requestId: "r",
      caseId: "c",
      next: "Look.",
      forModel: "No.",
      cause,
    });
    expect(error).toMatchObject({
      name: "GuardError",
      code: "not_found",
      requestId: "r",
      caseId: "c",
      next: "Look.",
      forModel: "No.",
      cause,
    });
    expect(error.message).toBe("Nothing was executed. No such case. Look.");
    expect(error).toBeInstanceOf(Error);
  });

  test("has no cause where there is none", () => {
    expect("cause" in new GuardError("held", "x")).toBe(false);
    expect("cause" in new NotPerformed("x")).toBe(false);
  });

  const summary = {
    caseId: "c",
    state: "IN_DOUBT",
    action: "pay",
    verdict: null,
    updatedAt: 0,
  } as const;
  const inDoubt: Outcome = {
    status: "in_doubt",
    effect: "unknown",
    case: summary,
    next: "Nobody knows. Look.",
    forModel: "Unknown. Leave it.",
  };

  test("that holds an outcome back says what the outcome says", () => {
    const own = { effect: "none", next: "x", forModel: "x" } as const;
    expect(new GuardError("held", "The facts.", { ...own, outcome: inDoubt })).toMatchObject({
      message: "Nobody knows. Look.",
      effect: "unknown",
      next: "Nobody knows. Look.",
      forModel: "Unknown. Leave it.",
      outcome: inDoubt,
    });
  });

  test("about an outcome that settled speaks for itself", () => {
    const settled = { status: "settled", effect: "once" } as Outcome;
    const own = { first: "It ran.", next: "Look.", forModel: "It ran." };
    expect(new GuardError("held", "The facts.", { ...own, outcome: settled })).toMatchObject({
      message: "It ran. The facts. Look.",
      effect: "none",
      next: "Look.",
      forModel: "It ran.",
      outcome: settled,
    });
  });
});

describe("isGuardError", () => {
  test("knows the error of another copy of the package", () => {
    const foreign = new there.GuardError("payload_conflict", "x");
    expect(foreign).not.toBeInstanceOf(GuardError);
    expect(isGuardError(foreign)).toBe(true);
    expect(isGuardError(foreign, "payload_conflict")).toBe(true);
    expect(isGuardError(foreign, "held")).toBe(false);
    expect(there.isGuardError(new GuardError("held", "x"), "held")).toBe(true);
  });

  test.each<[string, () => unknown]>([
    ["another error", () => new Error("payload_conflict")],
    ["an object that looks like it", () => ({ name: "GuardError", code: "held" })],
    [
      "an error that came through JSON",
      () => JSON.parse(JSON.stringify(new GuardError("held", "x"))),
    ],
    ["null", () => null],
    ["undefined", () => undefined],
    ["a text", () => "GuardError"],
    ["the other marked error", () => new NotPerformed("x")],
  ])("is not fooled by %s", (_name, make) => expect(isGuardError(make())).toBe(false));

  // Other releases of the package look for this mark.
  test.each([
    ["GuardError", () => new GuardError("held", "x")],
    ["NotPerformed", () => new NotPerformed("x")],
  ])("%s bears its mark, out of sight", (name, make) => {
    const mark = Symbol.for(`safeagent.${name}`);
    expect(Object.getOwnPropertyDescriptor(make(), mark)).toEqual({
      value: true,
      enumerable: false,
      writable: false,
      configurable: false,
    });
  });
});

test.each(codes)("the store, not the call, failed with %s, exactly where it says so", (code) => {
  expect(isStoreTrouble(new GuardError(code, "x"))).toBe(code.startsWith("store_"));
});

test("no other error says that the store failed", () => {
  expect(isStoreTrouble(Object.assign(new Error("x"), { code: "store_corrupt" }))).toBe(false);
  expect(isStoreTrouble(new Error("x"))).toBe(false);
});

describe("NotPerformed", () => {
  test("may be asked again unless it says that it is final", () => {
    const cause = new Error("below");
    expect(new NotPerformed("declined")).toMatchObject({
      message: "declined",
      name: "NotPerformed",
      final: false,
    });
    expect(new NotPerformed("declined", { final: true, cause })).toMatchObject({
      final: true,
      cause,
    });
  });

  test("is known across copies, and nothing else is", () => {
    expect(isNotPerformed(new there.NotPerformed("x"))).toBe(true);
    expect(
      [new Error("x"), new GuardError("held", "x"), null, "x", { final: true }].some(
        isNotPerformed,
      ),
    ).toBe(false);
  });
});

test("a broken invariant says that it may have been executed, and whose fault it is", () => {
  expect(() => assert(true, "x")).not.toThrow();
  expect(() => assert(1 > 2, "two is more than one")).toThrow(
    expect.objectContaining({
      code: "broken_invariant",
      effect: "unknown",
      message:
        "It may have been executed. Broken: two is more than one. This is a defect in SafeAgent: please report it.",
    }),
  );
});

describe("the facts of an error, alone", () => {
  test("are what its message says beside the effect and the next step", () => {
    expect(factsOf(new GuardError("store_corrupt", "The file is damaged."))).toBe(
      "The file is damaged.",
    );
    const next = "Look at Nothing was executed.";
    expect(factsOf(new GuardError("invalid_request", "It is wrong.", { next }))).toBe(
      "It is wrong.",
    );
  });

  test("begin with what happened to the effect, where that is more than nothing", () => {
    const error = new GuardError("store_unavailable", "The disk is full.", { effect: "unknown" });
    expect(factsOf(error)).toBe("It may have been executed. The disk is full.");
  });
});
