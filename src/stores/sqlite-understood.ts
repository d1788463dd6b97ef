import { corrupt } from "./record.ts";

/** SQLite's result code for a text longer than any (sqlite.org/rescode.html). */
const tooBig = 18;

/** Reads rows. A number or a length beyond all bounds is none that the store has written. */
export function understood<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isBeyond(error) ? corrupt("it holds a number that is none of ours", error) : error;
  }
}

function isBeyond(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    ("code" in error && error.code === "ERR_OUT_OF_RANGE") ||
    ("errcode" in error && error.errcode === tooBig)
  );
}
