import { describe, expect, test } from "vitest";
import { fingerprintText, isName } from "../../src/core/identity.ts";
import { canonicalJson } from "../../src/core/json.ts";
import { limits } from "../../src/core/limits.ts";

describe("a name is 1 to 255 printable characters", () => {
  test.each([
    ["a business fact", "refund:order-42"],
    ["one character", "x"],
    ["as long as allowed", "x".repeat(limits.idChars)],
    ["a blank within", "order 42"],
    ["blanks around it, never trimmed", " order "],
    ["letters of any script", "заказ-٤٢-注文"],
    ["marks", "e\u0301"],
    ["symbols and emoji", "€ ✓ 😀"],
    ["punctuation", "a/b\\c'\"<>&;--"],
  ])("%s is one", (_name, text) => expect(isName(text)).toBe(true));

  test.each<[string, unknown]>([
    ["nothing", ""],
    ["one too many", "x".repeat(limits.idChars + 1)],
    ["nothing but blanks", "   "],
    ["a line break", "a\nb"],
    ["a carriage return", "a\rb"],
    ["a tab", "a\tb"],
    ["a zero byte", "a\0b"],
    ["an escape", "a\u001b[31mb"],
    ["delete", "a\u007f"],
    ["a control character of Latin 1", "a\u0085b"],
    ["a change of direction", "a\u202eb"],
    ["a zero-width space", "a\u200bb"],
    ["a zero-width joiner", "a\u200db"],
    ["a byte order mark", "\ufeffa"],
    ["a line separator", "a\u2028b"],
    ["a blank that isn't the plain one", "a\u00a0b"],
    ["an ideographic space", "a\u3000b"],
    ["a filler that is a letter", "a\u3164"],
    ["a variation selector", "a\ufe0f"],
    ["a supplementary variation selector", "a\u{e0100}"],
    ["a grapheme joiner", "a\u034fb"],
    ["an inherent vowel that shows nothing", "\u1780\u17b4"],
    ["a soft hyphen", "a\u00adb"],
    ["a lone surrogate", "a\ud800"],
    ["a private character", "a\ue000"],
    ["a number", 42],
    ["null", null],
    ["undefined", undefined],
    ["a boxed text", Object("a")],
    ["a list of one name", ["a"]],
  ])("%s is none", (_name, text) => expect(isName(text)).toBe(false));

  test("names that differ in case, blanks or composition are different names", () => {
    const names = ["a", "A", " a", "a ", "é", "e\u0301"];
    expect(names.every(isName)).toBe(true);
    expect(new Set(names.map((name) => fingerprintText("ns", name, "1"))).size).toBe(names.length);
  });
});

describe("the text that is fingerprinted", () => {
  test("is the canonical JSON of namespace, action and payload", () => {
    const text = canonicalJson({ payload: { b: [1, "\u20ac"] }, namespace: 'n"s', action: "a\\b" });
    expect(text).toMatchObject({
      ok: true,
      text: fingerprintText('n"s', "a\\b", '{"b":[1,"\u20ac"]}'),
    });
  });

  test("no two of namespace and action run into each other", () => {
    const texts = [
      fingerprintText("a", "b", "1"),
      fingerprintText("ab", "", "1"),
      fingerprintText('a","namespace":"b', "b", "1"),
      fingerprintText("b", "a", "1"),
      fingerprintText("a", "b", "11"),
    ];
    expect(new Set(texts).size).toBe(texts.length);
  });
});
