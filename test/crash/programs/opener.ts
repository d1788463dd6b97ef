/** Opens each file it is told of, and says how that went. */
import { sqliteStore } from "../../../src/stores/sqlite.ts";

process.on("disconnect", () => process.exit());
process.on("message", async ({ path }: { path: string }) => {
  try {
    await sqliteStore({ path }).close();
    process.send?.("opened");
  } catch (error) {
    process.send?.(String(error));
  }
});
process.send?.("ready");
