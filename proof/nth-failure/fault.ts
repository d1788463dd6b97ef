import type { Chance } from "../../src/testing/chance.ts";

/** A kind of call to the kernel that can fail, and how. */
export interface Fault {
  readonly kind: "sync" | "write" | "open" | "unlink" | "truncate" | "read";
  /** The names of the calls. */
  readonly calls: string;
  readonly error: string;
}

/** The n-th call fails, or it and all that come after it. */
export type Lasting = "once" | "for good";

export const faults: readonly Fault[] = [
  { kind: "sync", calls: "fsync,fdatasync", error: "EIO" },
  { kind: "sync", calls: "fsync,fdatasync", error: "ENOSPC" },
  { kind: "write", calls: "pwrite64", error: "EIO" },
  { kind: "write", calls: "pwrite64", error: "ENOSPC" },
  { kind: "open", calls: "openat", error: "EMFILE" },
  { kind: "open", calls: "openat", error: "EACCES" },
  { kind: "unlink", calls: "unlink", error: "EIO" },
  { kind: "truncate", calls: "ftruncate", error: "EIO" },
  { kind: "read", calls: "pread64", error: "EIO" },
];

/** A fault of each kind, its error by chance. */
export function oneOfEach(chance: Chance): Fault[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const own = faults.filter((fault) => fault.kind === kind);
    return own.slice(chance.below(own.length)).slice(0, 1);
  });
}

/** strace's option for it. */
export function injection({ calls, error }: Fault, lasting: Lasting, nth: number): string {
  const when = lasting === "once" ? String(nth) : `${nth}+`;
  return `inject=${calls}:error=${error}:when=${when}`;
}
