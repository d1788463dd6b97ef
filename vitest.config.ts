import { defineConfig } from "vitest/config";

// CI names a file for the results here, so that it can count them.
const report = process.env.VITEST_REPORT;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Crash and disk tests share small, noisy machines: a hang is the failure, slowness is not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
  },
});
