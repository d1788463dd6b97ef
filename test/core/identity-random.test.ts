import fc from "fast-check";
import { expect, test } from "vitest";
import { fingerprintText } from "../../src/core/identity.ts";
import { canonicalJson } from "../../src/core/json.ts";

const anyName = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 });

test("the text that is fingerprinted is the canonical JSON of namespace, action and payload", () => {
  const property = fc.property(
    anyName,
    anyName,
    fc.jsonValue({ maxDepth: 2 }),
    (namespace, action, payload) => {
      const text = canonicalJson(payload);
      fc.pre(text.ok);
      const whole = canonicalJson({ payload, namespace, action });
      expect(whole).toMatchObject({
        ok: true,
        text: fingerprintText(namespace, action, text.text),
      });
    },
  );
  fc.assert(property, { numRuns: 5_000 });
});
