import fc from "fast-check";
import { expect, test } from "vitest";
import { keyOf } from "../../src/http/index.ts";

test.each([
  // As the draft's own examples have it, and as most clients send it.
  ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"],
  ["8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"],
  ['"q1"', "q1"],
  ["  q1 ", "q1"],
  ['"a b, c; d=e"', "a b, c; d=e"],
  ['"a\\"b\\\\c"', 'a"b\\c'],
  ["order/42+x=:*", "order/42+x=:*"],
  // Parameters say nothing, but may be there: one of each kind.
  ['"q1";a', "q1"],
  ['"q1"; a=1;b=-2.5;c="x\\";y";d=tok/en;e=:AAA=:;f=?0;g=@1659578233;h=%"f%c3%bc"', "q1"],
  [`"${"x".repeat(255)}"`, "x".repeat(255)],
])("%s is the key %s", (field, key) => {
  expect(keyOf(field)).toBe(key);
});

test.each([
  ["nothing", ""],
  ["an empty string", '""'],
  ["an empty string with a parameter", '"";a'],
  ["blanks", "   "],
  ["no closing quote", '"q1'],
  ["a closing quote alone", 'q1"'],
  ["an escape of something else", '"q\\1"'],
  ["an escape of nothing", '"q1\\'],
  ["something after the string", '"q1"x'],
  ["a space before the semicolon", '"q1" ;a'],
  ["a list of strings", '"q1", "q2"'],
  ["a list of bare ones", "q1, q2"],
  ["a bare one with a parameter", "q1;a"],
  ["a bare one with a space", "q 1"],
  ["a bare one with a backslash", "q\\1"],
  ["a tab in a string", '"q\t1"'],
  ["a letter beyond ASCII", '"é"'],
  ["a bare letter beyond ASCII", "é"],
  ["a parameter without a name", '"q1";'],
  ["a parameter with a capital", '"q1";A'],
  ["a parameter without its value", '"q1";a='],
  ["a number with too many digits", '"q1";a=1234567890123456'],
  ["a decimal with too many", '"q1";a=1.2345'],
  ["an unfinished string in a parameter", '"q1";a="x'],
  ["a boolean that is none", '"q1";a=?2'],
  ["an inner list", '("q1")'],
  ["256 characters", "x".repeat(256)],
  ["a field without an end", `"q1"${";a".repeat(10_000)}`],
])("%s is no key", (_what, field) => {
  expect(keyOf(field)).toBeUndefined();
});

/** RFC 9651, 4.1.6: how a String is written. */
const written = (text: string) => `"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"`;

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 255,
});

test("every text of printable ASCII is read as it was written", () => {
  fc.assert(fc.property(printable, (text) => keyOf(written(text)) === text));
});

test("a bare text and the same text quoted are one key, or the bare one is none", () => {
  fc.assert(
    fc.property(printable, (text) => {
      const bare = keyOf(text);
      return text.startsWith('"') || bare === undefined || bare === keyOf(written(text.trim()));
    }),
  );
});

test("what is read can be written and read again, whatever the field was", () => {
  const near = fc.string({ unit: fc.constantFrom(...'"\\;=,a1?:@%.-* \té') });
  fc.assert(
    fc.property(fc.oneof(near, fc.string({ unit: "binary" })), (field) => {
      const key = keyOf(field);
      return key === undefined || (/^[\x20-\x7e]{1,255}$/.test(key) && keyOf(written(key)) === key);
    }),
    { numRuns: 1_000 },
  );
});

test("cut anywhere, a quoted key is no key", () => {
  fc.assert(
    fc.property(printable, fc.nat(), (text, at) => {
      const whole = written(text);
      return keyOf(whole.slice(0, 1 + (at % (whole.length - 1)))) === undefined;
    }),
  );
});
