import { defineConfig } from "vitest/config";

// CI names a file for the results here, so that it can count them.
const report = process.env.VITEST_REPORT;

const shared = {
  pool: "forks",
  // Crash and disk tests share small, noisy machines: a hang is the failure, slowness is not.
  testTimeout: 60_000,
  hookTimeout: 60_000,
} as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
    projects: [
      {
        test: {
          ...shared,
          name: "anywhere",
          include: ["test/**/*.test.ts"],
          exclude: ["test/system/**"],
        },
      },
      // Full disks, failing syncs, kills in the middle of a write: needs Linux, root and strace.
      { test: { ...shared, name: "system", include: ["test/system/**/*.test.ts"] } },
    ],
  },
});
