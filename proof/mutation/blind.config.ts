import { mergeConfig } from "vitest/config";
import tests from "./vitest.config.ts";

export default mergeConfig(tests, { test: { setupFiles: ["proof/mutation/blind.ts"] } });
