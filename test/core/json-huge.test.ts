import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../src/core/json.ts";

describe("what is too large is refused before it is copied", () => {
  test("a million elements", () => {
    expect(canonicalJson({ a: Array(1_000_000).fill(0) })).toEqual({
      ok: false,
      path: "/a",
      problem: "too_many",
    });
  });

  test("a million members", () => {
    const value = Object.fromEntries([...Array(1_000_000).keys()].map((index) => [`k${index}`, 0]));
    expect(canonicalJson({ a: value })).toEqual({ ok: false, path: "/a", problem: "too_many" });
  });

  test("a text of 100 MB", () => {
    expect(canonicalJson({ a: "x".repeat(100_000_000) })).toEqual({
      ok: false,
      path: "/a",
      problem: "too_large",
    });
  });

  test("a name of 10 MB, with the whole of it as its path", () => {
    const name = "x".repeat(10_000_000);
    const canonical = canonicalJson({ [name]: 1 });
    expect(canonical).toMatchObject({ ok: false, problem: "too_large" });
    expect(!canonical.ok && canonical.path === `/${name}`).toBe(true);
  });
});
