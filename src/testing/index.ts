export type { Acknowledged, LawOptions, Recovered } from "./law.ts";
export { countingIds, type ManualClock, manualClock } from "./manual.ts";
export { storeLaws } from "./store-laws.ts";
