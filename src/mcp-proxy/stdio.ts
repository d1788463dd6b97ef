import type { Readable, Writable } from "node:stream";
import { type Ended, startChild } from "./child.ts";
import { createClientQuestions } from "./client-questions.ts";
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
  likelyAnswered,
  type NotificationFrame,
  type ResponseFrame,
  readFrame,
  refusalOf,
  responseFrame,
  type UnreadableFrame,
} from "./frame.ts";
import type { Gate } from "./gate.ts";
import { lineBytes, linesOf, lineWriter, tooLong } from "./lines.ts";
import { isOwnId, listMs, listParams, ownId, readPage, requestBytes } from "./own-request.ts";
import { createRoom } from "./room.ts";
import { type Client, NotSent, type Upstream, UpstreamLost } from "./upstream.ts";

/** Guards a server that is a process: newline-delimited JSON over stdin and stdout. */
export interface StdioProxy {
  /**
   * Resolves when the server has ended, and all that came of its calls is recorded and said. Rejects
   * where the proxy itself has failed, once the server has ended.
   */
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

/** Ids that are remembered of requests which nobody guards; the oldest is forgotten first. */
const passedIds = 10_000;

/** A call of the client that the gate has not answered yet. */
interface OpenCall {
  /** Resolves when it is known whether it is guarded. */
  readonly guarded: PromiseWithResolvers<boolean>;
  /** Aborted once the client has cancelled it. */
  readonly left: AbortController;
  /** Resolves when the server owes nothing for it any more. */
  atServer: Promise<unknown>;
  readonly done: PromiseWithResolvers<void>;
}

type Reply = PromiseWithResolvers<ResponseFrame>;

/** @throws Error where the server can't be started */
export async function openStdio(gate: Gate, options: StdioOptions): Promise<StdioProxy> {
  const child = await startChild(options.command, options.args);
  const toServer = lineWriter(child.stdin);
  const toClient = lineWriter(options.output);

  const open = new Map<FrameId, OpenCall>();
  /**
   * Guarded calls that the server has, and requests of our own. One that the guard has given up
   * stays: its answer is no other's.
   */
  const sent = new Map<FrameId, Reply>();
  /** Requests that went past the guard, and that the server has not answered. */
  const passed = new Set<FrameId>();
  const questions = createClientQuestions();
  const room = createRoom();
  /** What the server has asked the client. */
  const owed = new Set<FrameId>();
  let isClientThere = true;
  let declared: Declared = nothingDeclared;
  /** The end has begun: nothing new is taken, and nobody is asked any more. */
  let isOver = false;

  const upstreamOf = (call: CallFrame, opened: OpenCall): Upstream => {
    const envelope = envelopeOf(call.params._meta);
    return {
      call(frame) {
        if (!child.isThere()) return Promise.reject(new NotSent("the server has ended"));
        opened.guarded.resolve(true);
        const reply = Promise.withResolvers<ResponseFrame>();
        sent.set(frame.id, reply);
        opened.atServer = reply.promise.catch(() => undefined);
        void toServer(frame.bytes);
        return reply.promise;
      },
      async list(cursor) {
        if (!child.isThere()) throw new NotSent("the server has ended");
        const id = ownId();
        const reply = Promise.withResolvers<ResponseFrame>();
        const late = setTimeout(() => reply.reject(new UpstreamLost("the list is late")), listMs);
        sent.set(id, reply);
        try {
          void toServer(requestBytes(id, "tools/list", listParams(cursor, envelope)));
          return readPage(await reply.promise);
        } finally {
          clearTimeout(late);
          sent.delete(id);
        }
      },
    };
  };

  const clientOf = (call: CallFrame, left: AbortSignal): Client => {
    const inCall = declaredInCall(call);
    if (inCall !== undefined) return { principal: undefined, ...inCall, left };
    const elicit: Client["elicit"] = (params, signal) =>
      questions.ask(params, toClient, signal === undefined ? [left] : [left, signal]);
    return { principal: undefined, ...declared, left, elicit };
  };

  const refusal = (id: FrameId): string | undefined => {
    if (isOver) return "The proxy is ending.";
    const isUsed = open.has(id) || sent.has(id) || passed.has(id);
    return isUsed ? "Its id is in use." : undefined;
  };

  /** Sends a request past the guard. */
  const pass = (id: FrameId, bytes: Uint8Array): Promise<void> => {
    passed.add(id);
    const [oldest] = passed;
    if (passed.size > passedIds && oldest !== undefined) passed.delete(oldest);
    return toServer(bytes);
  };

  const take = async (frame: CallFrame): Promise<void> => {
    const why = refusal(frame.id);
    if (why !== undefined) return toClient(refused(frame.id, why));
    const leave = room.take(frame.bytes.length);
    if (leave === undefined) return toClient(refused(frame.id, "Too many calls are open."));
    const call: OpenCall = {
      guarded: Promise.withResolvers<boolean>(),
      left: new AbortController(),
      atServer: Promise.resolve(),
      done: Promise.withResolvers<void>(),
    };
    open.set(frame.id, call);
    const { guarded, left, done } = call;
    try {
      const answer = await gate.call(frame, upstreamOf(frame, call), clientOf(frame, left.signal));
      open.delete(frame.id);
      guarded.resolve(answer !== undefined);
      if (answer === undefined) await pass(frame.id, frame.bytes);
      // Who has cancelled a request awaits no answer.
      else if (!left.signal.aborted) await toClient(answer.bytes);
    } finally {
      open.delete(frame.id);
      guarded.resolve(true);
      done.resolve();
      // What the guard has given up is still with the server, and its frame with us.
      void call.atServer.then(leave);
    }
  };

  /** A guarded call that is cancelled goes on, and what comes of it is recorded: nothing is told to the server. */
  const cancel = async (frame: NotificationFrame): Promise<void> => {
    const { params } = frame.message;
    const { requestId } = isMembers(params) ? params : {};
    const call = open.get(requestId as FrameId);
    if (call !== undefined) {
      call.left.abort();
      if (await call.guarded.promise) return;
    }
    await toServer(frame.bytes);
  };

  const fromClient = async (line: Uint8Array): Promise<void> => {
    if (isCut(line)) return toClient(refused(null, "It has a line end in it."));
    const frame = readFrame(line);
    switch (frame.kind) {
      case "call":
        // Not awaited: the answer to a question of ours may be in the next line.
        take(frame).catch(fail);
        return;
      case "unreadable":
        return isBlank(line) ? undefined : toClient(refusalOf(frame).bytes);
      case "response":
        if (questions.take(frame)) return;
        if (frame.id !== null) owed.delete(frame.id);
        return toServer(frame.bytes);
      case "notification":
        if (frame.method !== "notifications/cancelled") return toServer(frame.bytes);
        cancel(frame).catch(fail);
        return;
      case "request":
        // Its answer would be taken for the call's.
        if (open.has(frame.id) || sent.has(frame.id)) {
          return toClient(refused(frame.id, "Its id is in use."));
        }
        if (frame.method === "initialize") declared = declaredAtStart(frame);
        return pass(frame.id, frame.bytes);
    }
  };

  const fromServer = async (line: Uint8Array): Promise<void> => {
    const frame = readFrame(line);
    switch (frame.kind) {
      case "response":
        if (answered(sent, frame) || isOwnId(frame.id)) return;
        if (frame.id !== null) passed.delete(frame.id);
        return toClient(line);
      case "notification":
        if (frame.method === "notifications/tools/list_changed") gate.toolsChanged();
        return toClient(line);
      case "unreadable":
        return failed(sent, frame) ? undefined : toClient(line);
      case "call":
      case "request":
        if (!isClientThere) return toServer(unanswered(frame.id));
        owed.add(frame.id);
        return toClient(line);
    }
  };

  const end = () => {
    isOver = true;
    questions.end();
  };

  const settled = () => Promise.all(Array.from(open.values(), ({ done }) => done.promise));

  const failures: unknown[] = [];
  /** A defect of ours. What is open is in doubt, and the server has to end: nobody reads it any more. */
  const fail = (error: unknown) => {
    failures.push(error);
    rejectAll(sent, new UpstreamLost("the proxy has failed"));
    end();
    child.end();
  };

  const readClient = async (): Promise<void> => {
    for await (const line of linesOf(options.input)) {
      if (line === tooLong) await toClient(refused(null, "The line is too long."));
      else await fromClient(line).catch(fail);
      if (failures.length > 0) return;
    }
  };

  const clientGone = async (): Promise<void> => {
    isClientThere = false;
    end();
    // A tool that waits for its user would never end.
    for (const id of owed) void toServer(unanswered(id));
    await settled();
    child.end();
  };

  const readServer = async (): Promise<void> => {
    for await (const line of linesOf(child.stdout)) {
      if (line !== tooLong) await fromServer(line);
      // What it answered can't be known any more, nor to what.
      else rejectAll(sent, new UpstreamLost(`the server wrote a line of over ${lineBytes} bytes`));
    }
  };

  // A client that is gone ends with an error where its end was torn off; it is gone either way.
  void readClient().then(clientGone, clientGone);
  const read = readServer().catch(fail);

  const finish = async (): Promise<Ended> => {
    const [how] = await Promise.all([child.ended, read]);
    rejectAll(sent, new UpstreamLost("the server has ended"));
    end();
    await settled();
    options.input.destroy();
    const [cause] = failures;
    if (cause === undefined) return how;
    throw new Error(`safeagent mcp has failed: ${(cause as Error).message}`, { cause });
  };

  let signals = 0;
  return {
    ended: finish(),
    signal(name) {
      signals += 1;
      end();
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
function failed(of: Map<FrameId, Reply>, frame: UnreadableFrame): boolean {
  const id = likelyAnswered(frame);
  const reply = id === undefined ? undefined : of.get(id);
  if (id === undefined || reply === undefined) return false;
  of.delete(id);
  reply.reject(new UpstreamLost("the server's answer can't be read"));
  return true;
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

/** Where the line ends for some (Python, Node's readline): what follows would be a frame of its own. */
function isCut(line: Uint8Array): boolean {
  const at = line.indexOf(13);
  return at >= 0 && at < line.length - 1;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 32 || byte === 9 || byte === 13);
}
