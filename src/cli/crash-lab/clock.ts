/** Milliseconds on the one clock of this machine that only runs forward: the same in every process. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
