import { defineConfig } from "vitest/config";

// The tests that mutants meet. What searches or plays histories by the thousand is left out: it takes
// seconds a mutant, and what only it notices would be a gap in the tables.
export default defineConfig({
  test: {
    include: ["test/core/**/*.test.ts"],
    exclude: [
      "test/core/search.test.ts",
      "test/core/verdict-histories.test.ts",
      "test/core/clock.test.ts",
      "test/core/clock-classes.test.ts",
      "test/core/*-random.test.ts",
      "test/core/json-huge.test.ts",
    ],
    isolate: false,
    testTimeout: 60_000,
  },
});
