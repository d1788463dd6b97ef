/**
 * What a process asked of one folder's files, in the order in which the kernel was asked; and what the
 * process said meanwhile. `began` and `ended` number the lines of the log; `ended` is infinite where the
 * process died in the call.
 */
export type Traced =
  | (Span & { readonly does: "create" | "unlink"; readonly file: string })
  | (Span & { readonly does: "write"; readonly file: string; at: number; data: Buffer })
  | (Span & { readonly does: "truncate"; readonly file: string; readonly size: number })
  /** `file` is empty for the folder itself. */
  | (Span & { readonly does: "sync"; readonly file: string; readonly failed: boolean })
  /** A line that the process wrote to its standard output. */
  | (Span & { readonly does: "say"; readonly text: string });

interface Span {
  readonly began: number;
  ended: number;
}

/** The calls that strace must log for this, and its options: data whole and in hex, paths of descriptors. */
export const tracing: readonly string[] = [
  "-xx",
  "-y",
  "-s",
  "70000",
  "-e",
  `trace=openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,\
unlink,unlinkat,rename,renameat,renameat2,link,linkat,fsync,fdatasync,sync_file_range,\
copy_file_range,sendfile`,
];

interface Pending {
  readonly name: string;
  readonly text: string;
  readonly began: number;
  /** Where its place in the order is its beginning; undone if it turns out to have failed. */
  readonly entry: Traced | undefined;
}

/**
 * Reads a log of `strace -f -qq` with the options above. A call that could change a file of the folder
 * and is not known here is an error: an image built without it would be of no file that ever was.
 */
export function readTrace(log: Buffer, folder: string): Traced[] {
  const traced: Traced[] = [];
  const failed = new Set<Traced>();
  const open = new Map<string, Pending>();
  let number = 0;

  for (let start = 0; start < log.length; ) {
    const newline = log.indexOf(10, start);
    const end = newline < 0 ? log.length : newline;
    number += 1;
    line(log.toString("latin1", start, end));
    start = end + 1;
  }
  return failed.size === 0 ? traced : traced.filter((entry) => !failed.has(entry));

  function line(text: string): void {
    const space = text.indexOf(" ");
    const thread = text.slice(0, space);
    const rest = text.slice(space).trimStart();
    if (rest.startsWith("<... ")) {
      const pending = open.get(thread);
      if (pending === undefined) throw new Error(`A call ends that never began: ${text}`);
      open.delete(thread);
      finish(pending, rest.slice(rest.indexOf("resumed>") + 8));
      return;
    }
    const bracket = rest.indexOf("(");
    const name = rest.slice(0, bracket);
    if (!/^\w+$/.test(name)) return;
    const isCut = rest.endsWith("<unfinished ...>");
    const call = isCut ? rest.slice(0, -"<unfinished ...>".length) : rest;
    const entry = entered(name, call);
    const pending: Pending = { name, text: call, began: number, entry };
    if (entry !== undefined) traced.push(entry);
    if (isCut) open.set(thread, pending);
    else finish(pending, "");
  }

  /** What takes its place where the call begins: from then on the disk may have it. */
  function entered(name: string, call: string): Traced | undefined {
    const span = { began: number, ended: Number.POSITIVE_INFINITY };
    switch (name) {
      case "write": {
        if (call.startsWith("write(1<")) {
          return { ...span, does: "say", text: quoted(call, 0).bytes.toString().trimEnd() };
        }
        if (fileOf(call) !== undefined) throw unknown(call);
        return undefined;
      }
      case "pwrite64": {
        const file = fileOf(call);
        if (file === undefined) return undefined;
        const { bytes, after } = quoted(call, 0);
        const [, length, at] = /^, (\d+), (\d+)/.exec(call.slice(after)) ?? [];
        if (Number(length) !== bytes.length) throw new Error("The log lacks bytes of a write.");
        return { ...span, does: "write", file, at: Number(at), data: bytes };
      }
      case "ftruncate": {
        const file = fileOf(call);
        if (file === undefined) return undefined;
        const size = Number(/>, (\d+)/.exec(call)?.[1]);
        return { ...span, does: "truncate", file, size };
      }
      case "unlink": {
        const file = relative(quoted(call, 0).bytes.toString());
        return file === undefined ? undefined : { ...span, does: "unlink", file };
      }
    }
    return undefined;
  }

  function finish({ name, text, began, entry }: Pending, tail: string): void {
    // A long write is all bytes: its result is looked for at the end alone.
    const shown = (text + tail).slice(-500);
    const result = /\) += (-?\d+)[^)]*(?:\([^)]*\)[^)]*)*$/.exec(shown)?.[1];
    const value = result === undefined ? undefined : Number(result);
    const ended = value === undefined ? Number.POSITIVE_INFINITY : number;
    if (entry !== undefined) {
      entry.ended = ended;
      if (value !== undefined && value < 0) failed.add(entry);
      if (entry.does === "write" && value !== undefined && value >= 0) {
        entry.data = entry.data.subarray(0, value);
      }
      return;
    }
    switch (name) {
      case "fsync":
      case "fdatasync": {
        const file = fileOf(text);
        if (file !== undefined && value !== undefined) {
          traced.push({ does: "sync", file, failed: value < 0, began, ended });
        }
        return;
      }
      case "open":
      case "openat": {
        if (!text.includes("O_CREAT") || value === undefined || value < 0) return;
        const file = relative(
          descriptorPath((text + tail).slice((text + tail).lastIndexOf(" = "))),
        );
        if (file === undefined) return;
        if (text.includes("O_TRUNC") && !text.includes("O_EXCL")) throw unknown(text);
        traced.push({ does: "create", file, began, ended });
        return;
      }
      case "write":
      case "pwrite64":
      case "ftruncate":
      case "unlink":
        return;
      default:
        if (touches(text + tail)) throw unknown(text);
    }
  }

  function fileOf(call: string): string | undefined {
    return relative(descriptorPath(call));
  }

  /** The name in the folder; undefined: elsewhere, or shared memory, which no power loss leaves behind. */
  function relative(path: string | undefined): string | undefined {
    if (path === folder) return "";
    if (path === undefined || !path.startsWith(`${folder}/`) || path.endsWith("-shm"))
      return undefined;
    return path.slice(folder.length + 1);
  }

  function touches(call: string): boolean {
    const paths = call.match(/(?:\\x[0-9a-f]{2})+/g) ?? [];
    return paths.some((hex) => relative(unhex(hex).toString()) !== undefined);
  }
}

function unknown(call: string): Error {
  return new Error(`A call on the database's files is not modelled: ${call.slice(0, 100)}`);
}

/** The path that strace adds to the first descriptor of a text: `22<\x2f…>`. */
function descriptorPath(text: string): string | undefined {
  const from = text.indexOf("<");
  if (from < 0) return undefined;
  return unhex(text.slice(from + 1, text.indexOf(">", from))).toString();
}

function quoted(text: string, from: number): { readonly bytes: Buffer; readonly after: number } {
  const start = text.indexOf('"', from) + 1;
  const end = text.indexOf('"', start);
  return { bytes: unhex(text.slice(start, end)), after: end + 1 };
}

/** `\x2f\x74…`: four characters a byte. */
function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}
