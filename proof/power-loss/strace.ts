import { spawnSync } from "node:child_process";

/** Says why strace can't be used here; undefined: it can. */
export function straceHindrance(): string | undefined {
  if (process.platform !== "linux") return "It needs Linux: it listens to system calls by strace.";
  const trial = spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", "true"]);
  if (trial.error !== undefined) return "It needs strace: apt-get install strace.";
  return trial.status === 0 ? undefined : "strace may not trace here: run it as root.";
}
