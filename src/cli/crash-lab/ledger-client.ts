import { connect } from "node:net";
import type { BookLine } from "../../testing/history.ts";
import type { Deed } from "./ledger.ts";

/** The ledger, seen from another process. */
export interface Ledger {
  /** Has an effect done. False: it came too late, and was not. */
  perform(deed: Deed): Promise<boolean>;
  /** What it has of a case; null: nothing. */
  line(caseId: string): Promise<BookLine | null>;
  /** Its lines of the cases whose names begin so. */
  book(prefix: string): Promise<{ readonly [caseId: string]: BookLine }>;
}

export function ledgerAt(port: number): Ledger {
  return {
    async perform(deed) {
      const { status } = await ask(port, "POST", "/do", JSON.stringify(deed));
      if (status !== 200 && status !== 410) throw new Error(`the ledger answered ${status}`);
      return status === 200;
    },
    line: (caseId) => read(port, `/line?case=${encodeURIComponent(caseId)}`),
    book: (prefix) => read(port, `/book?prefix=${encodeURIComponent(prefix)}`),
  };
}

async function read<T>(port: number, path: string): Promise<T> {
  const { status, body } = await ask(port, "GET", path, "");
  if (status !== 200) throw new Error(`the ledger answered ${status}`);
  return JSON.parse(body) as T;
}

/**
 * One request, one connection: HTTP/1.0. By hand, since a worker is killed soon after it has started,
 * and to load `node:http` or `fetch` would be a third of its life.
 */
function ask(
  port: number,
  method: string,
  path: string,
  body: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("end", () => {
      const end = text.indexOf("\r\n\r\n");
      const status = Number(/^HTTP\/1\.\d (\d{3}) /.exec(text)?.[1]);
      if (end < 0 || Number.isNaN(status)) reject(new Error("the ledger's answer was cut off"));
      else resolve({ status, body: text.slice(end + 4) });
    });
    const length = Buffer.byteLength(body);
    socket.write(
      `${method} ${path} HTTP/1.0\r\nHost: ledger\r\nContent-Length: ${length}\r\n\r\n${body}`,
    );
  });
}
