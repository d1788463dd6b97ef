import type { Readable, Writable } from "node:stream";
import { type Ended, startChild } from "./child.ts";
import {
  type Declared,
  declaredAtStart,
  declaredInCall,
  envelopeOf,
  nothingDeclared,
} from "./declared.ts";
import {
  type CallFrame,
  type FrameId,
  isMembers,
  type NotificationFrame,
  type ResponseFrame,
  readFrame,
  refusalOf,
  responseFrame,
} from "./frame.ts";
import type { Gate } from "./gate.ts";
import { type LineWriter, lineBytes, linesOf, lineWriter, tooLong } from "./lines.ts";
import { listParams, ownId, readElicitAnswer, readPage, requestBytes } from "./own-request.ts";
import { type Client, NotSent, type Upstream, UpstreamLost } from "./upstream.ts";

/** Guards a server that is a process: newline-delimited JSON over stdin and stdout. */
export interface StdioProxy {
  /** Resolves when the server has ended, and all that came of its calls is recorded and said. */
  readonly ended: Promise<Ended>;
  /** A signal to the proxy: the server gets it once no guarded call is open; with the second one at once. */
  signal(name: NodeJS.Signals): void;
}

export interface StdioOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** What the client writes, and what it reads. */
  readonly input: Readable;
  readonly output: Writable;
}

/** Calls that may be open at a time; a client that makes more is told to wait. */
export const openCalls = 1_000;

/** A call of the client that the gate has not answered yet. */
interface OpenCall {
  /** Resolves when it is known whether it is guarded. */
  readonly guarded: PromiseWithResolvers<boolean>;
  isCancelled: boolean;
  readonly done: PromiseWithResolvers<void>;
}

type Reply = PromiseWithResolvers<ResponseFrame>;

/** @throws Error where the server can't be started */
export async function openStdio(gate: Gate, options: StdioOptions): Promise<StdioProxy> {
  const child = await startChild(options.command, options.args);
  const toServer = lineWriter(child.stdin);
  const toClient = lineWriter(options.output);

  const open = new Map<FrameId, OpenCall>();
  /** Guarded calls that the server has, and requests of our own to either side. */
  const sent = new Map<FrameId, Reply>();
  const asked = new Map<FrameId, Reply>();
  /** What the server has asked the client. */
  const owed = new Set<FrameId>();
  let isClientThere = true;
  let declared: Declared = nothingDeclared;
  /** The end has begun: nothing new is taken, and nobody is asked any more. */
  let isOver = false;

  /** A request of our own. */
  const ask = async (
    of: Map<FrameId, Reply>,
    write: LineWriter,
    method: string,
    params: unknown,
  ): Promise<ResponseFrame> => {
    const id = ownId();
    const reply = Promise.withResolvers<ResponseFrame>();
    of.set(id, reply);
    await write(requestBytes(id, method, params));
    return reply.promise;
  };

  const upstreamOf = (call: CallFrame | undefined, opened?: OpenCall): Upstream => ({
    call(frame) {
      if (!child.isThere()) return Promise.reject(new NotSent("the server has ended"));
      opened?.guarded.resolve(true);
      const reply = Promise.withResolvers<ResponseFrame>();
      sent.set(frame.id, reply);
      void toServer(frame.bytes);
      return reply.promise;
    },
    async list(cursor) {
      if (!child.isThere()) throw new NotSent("the server has ended");
      const envelope = call === undefined ? undefined : envelopeOf(call.params._meta);
      return readPage(await ask(sent, toServer, "tools/list", listParams(cursor, envelope)));
    },
  });

  const clientOf = (call: CallFrame): Client => {
    const inCall = declaredInCall(call);
    if (inCall !== undefined) return { principal: undefined, ...inCall };
    const elicit = async (params: unknown) => {
      if (isOver) throw new Error("the proxy is ending");
      return readElicitAnswer(await ask(asked, toClient, "elicitation/create", params));
    };
    return { principal: undefined, ...declared, elicit };
  };

  const refusal = (id: FrameId): string | undefined => {
    if (isOver) return "The proxy is ending.";
    if (open.has(id)) return "Its id is in use.";
    return open.size >= openCalls ? "Too many calls are open." : undefined;
  };

  const take = async (frame: CallFrame): Promise<void> => {
    const why = refusal(frame.id);
    if (why !== undefined) return toClient(refused(frame.id, why));
    const guarded = Promise.withResolvers<boolean>();
    const done = Promise.withResolvers<void>();
    const call: OpenCall = { guarded, done, isCancelled: false };
    open.set(frame.id, call);
    const answer = await gate.call(frame, upstreamOf(frame, call), clientOf(frame));
    open.delete(frame.id);
    guarded.resolve(answer !== undefined);
    if (answer === undefined) await toServer(frame.bytes);
    // Who has cancelled a request awaits no answer.
    else if (!call.isCancelled) await toClient(answer.bytes);
    done.resolve();
  };

  /** A guarded call that is cancelled goes on, and what comes of it is recorded: nothing is told to the server. */
  const cancel = async (frame: NotificationFrame): Promise<void> => {
    const { params } = frame.message;
    const { requestId } = isMembers(params) ? params : {};
    const call = open.get(requestId as FrameId);
    if (call !== undefined) {
      call.isCancelled = true;
      if (await call.guarded.promise) return;
    }
    await toServer(frame.bytes);
  };

  const fromClient = async (line: Uint8Array): Promise<void> => {
    const frame = readFrame(line);
    switch (frame.kind) {
      case "call":
        // Not awaited: the answer to a question of ours may be in the next line.
        void take(frame);
        return;
      case "unreadable":
        return isBlank(line) ? undefined : toClient(refusalOf(frame).bytes);
      case "response":
        if (answered(asked, frame)) return;
        if (frame.id !== null) owed.delete(frame.id);
        return toServer(frame.bytes);
      case "notification":
        if (frame.method !== "notifications/cancelled") return toServer(frame.bytes);
        void cancel(frame);
        return;
      case "request":
        if (frame.method === "initialize") declared = declaredAtStart(frame);
        return toServer(frame.bytes);
    }
  };

  const fromServer = async (line: Uint8Array): Promise<void> => {
    const frame = readFrame(line);
    switch (frame.kind) {
      case "response":
        return answered(sent, frame) ? undefined : toClient(line);
      case "notification":
        if (frame.method === "notifications/tools/list_changed") gate.toolsChanged();
        return toClient(line);
      case "unreadable":
        return failed(sent, line) ? undefined : toClient(line);
      case "call":
      case "request":
        if (!isClientThere) return toServer(unanswered(frame.id));
        owed.add(frame.id);
        return toClient(line);
    }
  };

  const end = (why: Error) => {
    isOver = true;
    rejectAll(asked, why);
  };

  const settled = () => Promise.all(Array.from(open.values(), ({ done }) => done.promise));

  const readClient = async (): Promise<void> => {
    try {
      for await (const line of linesOf(options.input)) {
        if (line === tooLong) await toClient(refused(null, "The line is too long."));
        else await fromClient(line);
      }
    } finally {
      isClientThere = false;
      end(new Error("the client has gone"));
      // A tool that waits for its user would never end.
      for (const id of owed) void toServer(unanswered(id));
      await settled();
      child.end();
    }
  };

  const readServer = async (): Promise<void> => {
    for await (const line of linesOf(child.stdout)) {
      if (line !== tooLong) await fromServer(line);
      // What it answered can't be known any more, nor to what.
      else rejectAll(sent, new UpstreamLost(`the server wrote a line of over ${lineBytes} bytes`));
    }
  };

  // A client that is gone ends with an error where its end was torn off; it is gone either way.
  void readClient().catch(() => undefined);
  const read = readServer();

  const finish = async (): Promise<Ended> => {
    const [how] = await Promise.all([child.ended, read.catch(() => undefined)]);
    rejectAll(sent, new UpstreamLost("the server has ended"));
    end(new Error("the server has ended"));
    await settled();
    options.input.destroy();
    return how;
  };

  let signals = 0;
  return {
    ended: finish(),
    signal(name) {
      signals += 1;
      end(new Error("the proxy is ending"));
      if (signals > 1) child.signal(name);
      else void settled().then(() => child.signal(name));
    },
  };
}

function answered(of: Map<FrameId, Reply>, frame: ResponseFrame): boolean {
  if (frame.id === null) return false;
  const reply = of.get(frame.id);
  of.delete(frame.id);
  reply?.resolve(frame);
  return reply !== undefined;
}

/** An answer that can't be read for certain is none: what it answers is in doubt. */
function failed(of: Map<FrameId, Reply>, line: Uint8Array): boolean {
  const id = likelyId(line);
  const reply = id === undefined ? undefined : of.get(id);
  if (id === undefined || reply === undefined) return false;
  of.delete(id);
  reply.reject(new UpstreamLost("the server's answer can't be read"));
  return true;
}

function likelyId(line: Uint8Array): FrameId | undefined {
  try {
    const { id, method } = JSON.parse(Buffer.from(line).toString()) as Record<string, unknown>;
    return method === undefined ? (id as FrameId) : undefined;
  } catch {
    return undefined;
  }
}

function rejectAll(of: Map<FrameId, Reply>, why: Error): void {
  for (const reply of of.values()) reply.reject(why);
  of.clear();
}

/** What a server is told that has asked a client which has gone. */
function unanswered(id: FrameId): Uint8Array {
  return responseFrame(id, { error: { code: -32000, message: "The client has gone." } }).bytes;
}

function refused(id: FrameId | null, why: string): Uint8Array {
  const message = `safeagent sent nothing on. ${why}`;
  return responseFrame(id, { error: { code: -32600, message } }).bytes;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 32 || byte === 9 || byte === 13);
}
