import { notPerformedHeader } from "./effect.ts";
import { type Answer, isStream, joined, keptBytes } from "./kept.ts";
import { headersOf } from "./node-message.ts";

type HeaderValue = string | number | readonly string[];

/** What is used of Express's response, which is Node's. */
export interface ExpressResponseLike {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: HeaderValue): unknown;
  getHeader(name: string): unknown;
  getHeaders(): { readonly [name: string]: unknown };
  removeHeader(name: string): void;
  end(chunk?: never, encoding?: never, done?: never): unknown;
}

/** The parts of Node's response that are stood in for, without their overloads. */
interface Writable {
  statusCode: number;
  setHeader(name: string, value: unknown): unknown;
  getHeader(name: string): unknown;
  getHeaders(): { readonly [name: string]: unknown };
  removeHeader(name: string): void;
  writeHead(status: number, ...rest: unknown[]): unknown;
  flushHeaders(): void;
  write(...args: unknown[]): boolean;
  end(...args: unknown[]): unknown;
}

export interface Recorded {
  /** What the handler sent, once it has ended it. */
  readonly answer: Promise<Answer>;
  /** Sends that, as it was. */
  readonly sendOwn: () => void;
  /** Sends another one in its place. What the handler sends later is still recorded. */
  readonly sendOther: (response: Response) => void;
}

/**
 * Holds back what a handler sends, so that it is written down before anybody has it. The handler
 * notices nothing, nor does a client that has gone keep it from being recorded.
 */
export function record(given: ExpressResponseLike): Recorded {
  const response = given as unknown as Writable;
  const { setHeader, getHeader, getHeaders, removeHeader } = response;
  const { writeHead, flushHeaders, write, end } = response;
  /** What others have set before the handler: it stays, whatever is sent. */
  const before = { ...getHeaders.call(response) };
  const answered = Promise.withResolvers<Answer>();
  const parts: Uint8Array[] = [];
  const callbacks: (() => void)[] = [];
  let bytes = 0;
  let mode: "holding" | "held" | "sending" | "replaced" = "holding";
  /** Of a handler whose place another response has taken. */
  let late = new Map<string, unknown>();
  let own: { readonly status: number; readonly headers: object } | undefined;

  const passes = () => mode === "sending";
  const conclude = (body: Answer["body"]) => {
    if (own !== undefined) return;
    const headers =
      mode === "replaced" ? Object.fromEntries(late) : { ...getHeaders.call(response) };
    own = { status: response.statusCode, headers };
    if (mode === "holding") mode = "held";
    answered.resolve({ status: own.status, headers: headersOf(headers as never), body });
  };
  const take = (args: unknown[]) => {
    const [chunk, encoding] = args;
    if (own !== undefined || chunk === undefined || chunk === null || typeof chunk === "function") {
      return;
    }
    const part =
      typeof chunk === "string"
        ? Buffer.from(chunk, typeof encoding === "string" ? (encoding as "utf8") : "utf8")
        : joined([chunk as Uint8Array]);
    bytes += part.length;
    if (bytes <= keptBytes) parts.push(part);
    else parts.length = 0;
  };
  const noticeStream = () => {
    const type =
      mode === "replaced" ? late.get("content-type") : response.getHeader("content-type");
    if (isStream(type === undefined ? null : String(type))) conclude("streaming");
  };

  Object.assign(response, {
    setHeader(name: string, value: unknown) {
      if (mode === "replaced") late.set(name.toLowerCase(), value);
      else if (mode !== "held") setHeader.call(response, name, value);
      return response;
    },
    getHeader: (name: string) =>
      mode === "replaced" ? late.get(name.toLowerCase()) : getHeader.call(response, name),
    getHeaders: () => (mode === "replaced" ? Object.fromEntries(late) : getHeaders.call(response)),
    removeHeader(name: string) {
      if (mode === "replaced") late.delete(name.toLowerCase());
      else if (mode !== "held") removeHeader.call(response, name);
    },
    writeHead(status: number, ...rest: unknown[]) {
      if (passes()) return writeHead.call(response, status, ...rest);
      if (mode !== "held") response.statusCode = status;
      for (const [name, value] of valuesOf(rest.at(-1))) response.setHeader(name, value);
      noticeStream();
      return response;
    },
    flushHeaders() {
      if (passes()) flushHeaders.call(response);
      else noticeStream();
    },
    write(...args: unknown[]) {
      if (passes()) return write.apply(response, args);
      noticeStream();
      take(args);
      const taken = callbackOf(args);
      if (taken !== undefined) queueMicrotask(taken);
      return true;
    },
    end(...args: unknown[]) {
      if (passes()) return end.apply(response, args);
      noticeStream();
      take(args);
      const ended = callbackOf(args);
      if (ended !== undefined) callbacks.push(ended);
      conclude(bytes > keptBytes ? "too_large" : bytes === 0 ? null : joined(parts));
      return response;
    },
  });

  const sendBytes = (status: number, headers: object, body: Uint8Array | null) => {
    mode = "sending";
    for (const name of Object.keys(getHeaders.call(response))) removeHeader.call(response, name);
    response.statusCode = status;
    for (const [name, value] of Object.entries(headers)) {
      if (name !== notPerformedHeader) setHeader.call(response, name, value);
    }
    const done = () => {
      for (const callback of callbacks) callback();
    };
    if (body === null) end.call(response, done);
    else end.call(response, body, done);
  };

  return {
    answer: answered.promise,
    sendOwn() {
      if (own !== undefined) sendBytes(own.status, own.headers, bytes === 0 ? null : joined(parts));
    },
    sendOther(other) {
      void contentOf(other).then((body) => {
        sendBytes(other.status, { ...before, ...Object.fromEntries(other.headers) }, body);
        // What a stream goes on to write has nobody to go to, either.
        mode = "replaced";
        late = new Map();
        // The head is out: from here on it is the handler's.
        response.statusCode = 200;
      });
    },
  };
}

/** Sends a response in the place of a handler that wasn't called. */
export function send(given: ExpressResponseLike, response: Response): void {
  const target = given as unknown as Writable;
  void contentOf(response).then((body) => {
    target.statusCode = response.status;
    for (const [name, value] of response.headers) target.setHeader(name, value);
    if (body === null) target.end();
    else target.end(body);
  });
}

/** Takes out of a response that nothing guards what it may say of its effect. */
export function unmark(given: ExpressResponseLike): void {
  const response = given as unknown as Writable;
  const { writeHead } = response;
  // Node calls it for each response, also where the handler doesn't.
  response.writeHead = (...args) => {
    response.removeHeader(notPerformedHeader);
    return writeHead.apply(response, args);
  };
}

function callbackOf(args: readonly unknown[]): (() => void) | undefined {
  return args.find((arg): arg is () => void => typeof arg === "function");
}

/** Each header's values; a list may name it several times. */
function valuesOf(headers: unknown): ReadonlyMap<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [given, value] of pairsOf(headers)) {
    const name = given.toLowerCase();
    const before = values.get(name);
    values.set(name, before === undefined ? value : [before, value].flat());
  }
  return values;
}

/** Headers as `writeHead` takes them: an object, a flat list, or a list of pairs. */
function pairsOf(headers: unknown): readonly (readonly [string, unknown])[] {
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) return Object.entries(headers);
  if (headers.every(Array.isArray)) return headers as [string, unknown][];
  return headers.flatMap((name, at) =>
    at % 2 === 0 ? [[String(name), headers[at + 1]] as const] : [],
  );
}

async function contentOf(response: Response): Promise<Uint8Array | null> {
  return response.body === null ? null : new Uint8Array(await response.arrayBuffer());
}
