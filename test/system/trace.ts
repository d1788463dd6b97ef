import { execFileSync } from "node:child_process";

/** A command that runs another one under strace. Fails where there is no strace: nothing is skipped. */
export function strace(...options: readonly string[]): readonly string[] {
  try {
    execFileSync("strace", ["-V"], { stdio: "pipe" });
  } catch (cause) {
    throw new Error("This test needs strace: apt-get install strace.", { cause });
  }
  return ["strace", "-f", "-qq", ...options];
}
