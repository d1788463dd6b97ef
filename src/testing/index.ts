export {
  type BookLine,
  type History,
  type HistoryAnswer,
  type HistoryCall,
  judgeHistory,
  type Violation,
  type ViolationKind,
} from "./history.ts";
export { historyAnswer } from "./history-answer.ts";
export type { Acknowledged, LawOptions, Recovered } from "./law.ts";
export { countingIds, type ManualClock, manualClock } from "./manual.ts";
export type { FaultKind, MischiefKind } from "./simulation/faults.ts";
export type { Act } from "./simulation/plan.ts";
export { shrink } from "./simulation/shrink.ts";
export { type Simulated, type SimulateOptions, simulate } from "./simulation/simulate.ts";
export { storeLaws } from "./store-laws.ts";
