import type { CallFrame, ResponseFrame } from "./frame.ts";

/** Where a tools/call goes on to. */
export interface Upstream {
  /**
   * Sends the client's own frame on (bytes untouched but for what the transport must) and resolves
   * with the response frame to it, result or error, whose id is the frame's. The client's going away
   * must not end it. Rejects with `UpstreamLost` where the upstream died or the stream broke after
   * dispatch, with `NotSent` where it certainly never got it.
   */
  call(frame: CallFrame): Promise<ResponseFrame>;
  /** The proxy's own tools/list, one page. */
  list(cursor: string | undefined): Promise<ToolPage>;
}

export interface ToolPage {
  readonly tools: readonly ToolInfo[];
  readonly nextCursor?: string;
}

/** What tools/list says of a tool, as far as it matters here. */
export interface ToolInfo {
  readonly name: string;
  readonly annotations?: ToolAnnotations;
}

/** The server's own word, and no more than that. */
export interface ToolAnnotations {
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
}

/** Who calls. */
export interface Client {
  /** The authenticated subject (HTTP) or the configured tenant. */
  readonly principal: string | undefined;
  readonly protocolVersion: string | undefined;
  /** It declared elicitation by form. */
  readonly elicits: boolean;
  /**
   * Aborted once nobody waits for the answer any more: the call was cancelled, or its client went
   * away. What is not sent on yet has no reason to be.
   */
  readonly left?: AbortSignal;
  /**
   * Legacy eras: sends elicitation/create to the client while the call waits; absent where it can't.
   * Rejects with `Withdrawn`, after it told the client so, once the call is left or `signal` aborts.
   */
  readonly elicit?: (params: unknown, signal?: AbortSignal) => Promise<ElicitAnswer>;
}

export interface ElicitAnswer {
  readonly action: "accept" | "decline" | "cancel";
  readonly content?: unknown;
}

/** Sent, and nobody knows what came of it: the upstream died, or its stream broke. */
export class UpstreamLost extends Error {
  override readonly name = "UpstreamLost";
}

/** The upstream certainly never got it. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** The question was taken back before anybody answered it: an answer that still comes is none. */
export class Withdrawn extends Error {
  override readonly name = "Withdrawn";
}
