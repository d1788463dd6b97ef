import { availableParallelism, cpus, release, totalmem, type } from "node:os";

/** What a figure was made on, in words that name no host. */
export function machineInWords(): string {
  const model = cpus()[0]?.model.trim().replace(/\s+/g, " ") || "unknown";
  const cores = availableParallelism();
  const kernel = /^\d+\.\d+/.exec(release())?.[0] ?? "";
  return [
    `${cores} ${cores === 1 ? "core" : "cores"} (${model})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${kernel}`.trim(),
  ].join(", ");
}
