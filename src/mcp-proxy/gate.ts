import { randomBytes } from "node:crypto";
import { type Guard, isGuardError } from "../index.ts";
import { createQuestions, listensToApprover, question, type Subject, wordIn } from "./approval.ts";
import { type Came, createClaims } from "./claims.ts";
import type { ProxyConfig } from "./config.ts";
import { type Explained, explained } from "./explain.ts";
import {
  type CallFrame,
  isMembers,
  type ResponseFrame,
  renamed,
  withoutContinuation,
} from "./frame.ts";
import { identityOf } from "./identity.ts";
import { brokenReply, failedReply, heldReply, isModern, type Reader, replayOf } from "./results.ts";
import { createTools } from "./tools.ts";
import {
  type Guarded,
  type Known,
  needsAnnotations,
  type Treatment,
  treatmentOf,
} from "./treatment.ts";
import type { Client, ElicitAnswer, Upstream } from "./upstream.ts";
import { createWindow } from "./window.ts";

export {
  type Client,
  type ElicitAnswer,
  NotSent,
  type ToolInfo,
  type ToolPage,
  type Upstream,
  UpstreamLost,
} from "./upstream.ts";

/** Stands before a server's tools: takes the calls that are guarded, and says what their clients get. */
export interface Gate {
  /**
   * Undefined: not ours, the frame goes on untouched; else the response frame to send to the client
   * (its id is the request's id). Never throws.
   */
  call(frame: CallFrame, upstream: Upstream, client: Client): Promise<ResponseFrame | undefined>;
  /** Drops what is known of the tools (notifications/tools/list_changed): one principal's, or all. */
  toolsChanged(principal?: string): void;
  /** What each tool of the server gets, and why. Throws where its tools can't be listed. */
  explain(upstream: Upstream, client: Client): Promise<readonly Explained[]>;
}

export interface GateOptions {
  /** Milliseconds since 1970, to compare with a receipt's. Only a configured window looks at it. */
  readonly now?: () => number;
  /** Milliseconds, from any start. */
  readonly monotonicMs?: () => number;
  /**
   * Signs what a client carries while its person is asked (2026-07-28). Several proxies before one
   * server need the same. Default: random; a question that was open at a restart is asked again.
   */
  readonly stateKey?: Uint8Array;
  /** How a person approves a case elsewhere. Default: `safeagent approve CASE`. */
  readonly approveCommand?: (caseId: string) => string;
}

/**
 * Makes a gate. Dispose of it before the guard is closed, once no client is left: a claim whose server
 * waits for a client's answers would else keep the guard open until its time is over.
 *
 * @example
 * await using guard = createGuard();
 * using gate = createGate(guard, readConfig({}, { server: "shop" }));
 */
export function createGate(
  guard: Guard,
  config: ProxyConfig,
  options: GateOptions = {},
): Gate & Disposable {
  const { now = Date.now, monotonicMs = () => performance.now() } = options;
  const { stateKey = randomBytes(32), approveCommand = safeagentApprove } = options;
  const tools = createTools({ monotonicMs });
  const claims = createClaims(guard);
  const window = createWindow(guard, now);
  const questions = createQuestions(stateKey);
  /** Questions that are open at a client, by case: a case is asked about once at a time. */
  const asking = new Map<string, Promise<ElicitAnswer>>();

  const treat = async (tool: string, upstream: Upstream, client: Client): Promise<Treatment> => {
    let known: Known = "unlisted";
    if (needsAnnotations(config, tool)) {
      const find = tools.find(tool, upstream, client);
      known = await find.then(
        (found) => found ?? "unlisted",
        () => "list failed",
      );
    }
    return treatmentOf(config, tool, known);
  };

  const guarded = async (
    asked: CallFrame,
    upstream: Upstream,
    client: Client,
    treatment: Guarded,
  ): Promise<ResponseFrame> => {
    const { principal } = client;
    const { rule, action, effect, onError, windowMs, policy } = treatment;
    const identity = identityOf(asked.params, treatment, config, principal);
    const { requestId, digest, payload, ignore } = identity;
    const caseId =
      identity.from === "arguments"
        ? await window.caseFor(identity.caseId, windowMs, requestId)
        : identity.caseId;
    const same = { caseId, digest, principal };
    const reader = { id: asked.id, protocolVersion: client.protocolVersion };

    const continued = claims.resume(asked, upstream, same);
    if (continued !== undefined) return reply(reader, await continued);

    const isAnswer = questions.isOurs(asked);
    const frame = isAnswer ? withoutContinuation(asked) : asked;
    const { timeoutMs, waitMs } = rule;
    const terms = {
      action,
      effect,
      payload,
      ignore,
      requestId: requestId ?? caseId,
      ...(policy === undefined ? {} : { policy }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(waitMs === undefined ? {} : { waitMs }),
      ...(principal === undefined ? {} : { actor: principal }),
    };
    const mayDiffer = identity.isWhole && ignore.length > 0;
    const call = () => claims.call({ ...same, frame, upstream, onError, mayDiffer, terms });

    const came = await call();
    const subject = isPending(came) ? await subjectOf(asked, caseId, principal) : undefined;
    if (subject === undefined || !client.elicits) return reply(reader, came);
    const answer = isAnswer ? questions.answerIn(asked, subject) : undefined;
    if (answer !== undefined) return decide(reader, subject, answer, came, call);
    if (isModern(client.protocolVersion)) return questions.ask(reader, subject);
    const { elicit } = client;
    if (elicit === undefined) return reply(reader, came);
    const said = await askOnce(caseId, () => elicit(question(subject)));
    return said === undefined ? reply(reader, came) : decide(reader, subject, said, came, call);
  };

  /** What may be asked of the person at the client; undefined where their word would not count. */
  const subjectOf = async (
    { params }: CallFrame,
    caseId: string,
    principal: string | undefined,
  ): Promise<Subject | undefined> => {
    const { approver, elicit } = config;
    const kase = elicit ? await guard.case(caseId).get() : undefined;
    if (kase === undefined || kase.state === "RETIRED" || kase.intent === null) return undefined;
    const { deliberation, intent } = kase;
    if (deliberation === null || intent.proposer === approver) return undefined;
    if (!listensToApprover(deliberation.policy, approver)) return undefined;
    const { approvals } = deliberation;
    if (approvals.some(({ actor, approved }) => approved && actor === approver)) return undefined;
    const { fingerprint, action, payload } = intent;
    // What is held runs, not what this call worded otherwise; of what is too large, its hash is held.
    const isHash = isMembers(payload) && Object.hasOwn(payload, "argumentsSha256");
    return {
      caseId,
      fingerprint,
      principal,
      server: config.server,
      tool: action,
      arguments: isHash ? params.arguments : payload,
    };
  };

  /** Undefined where the client couldn't ask: it stays pending. */
  const askOnce = async (
    caseId: string,
    ask: () => Promise<ElicitAnswer>,
  ): Promise<ElicitAnswer | undefined> => {
    const open = asking.get(caseId) ?? ask();
    asking.set(caseId, open);
    try {
      return await open;
    } catch {
      return undefined;
    } finally {
      if (asking.get(caseId) === open) asking.delete(caseId);
    }
  };

  const decide = async (
    reader: Reader,
    { caseId, fingerprint }: Subject,
    answer: ElicitAnswer,
    before: Came,
    call: () => Promise<Came>,
  ): Promise<ResponseFrame> => {
    const word = wordIn(answer);
    if (word === undefined) return reply(reader, before);
    const note = "answered at the client's question";
    const said = guard[word](caseId, { actor: config.approver, note, fingerprint });
    await said.catch((error: unknown) => {
      // Somebody else was faster: what they decided is found by asking again.
      if (!isGuardError(error, "held")) throw error;
    });
    return reply(reader, await call());
  };

  const reply = (reader: Reader, came: Came): ResponseFrame => {
    if (came.wants !== undefined) return renamed(came.wants, reader.id);
    const { outcome, said } = came;
    switch (outcome.status) {
      case "settled":
        // Its server's own answer, byte for byte, for the call that brought it about.
        if (!outcome.replayed && said !== undefined) return renamed(said, reader.id);
        return replayOf(reader, outcome);
      case "not_performed":
        return said === undefined ? heldReply(reader, outcome) : renamed(said, reader.id);
      case "in_doubt":
        return said === undefined ? heldReply(reader, outcome) : failedReply(reader, said, outcome);
      case "pending": {
        const { caseId } = outcome.case;
        return heldReply(reader, outcome, `A person can approve it: ${approveCommand(caseId)}`);
      }
      case "in_progress":
      case "void":
        return heldReply(reader, outcome);
    }
  };

  const placed = (client: Client): Client => {
    const { principal = config.tenant } = client;
    return { ...client, principal };
  };

  return {
    async call(frame, upstream, caller) {
      const client = placed(caller);
      try {
        const treatment = await treat(frame.params.name, upstream, client);
        return treatment.guarded ? await guarded(frame, upstream, client, treatment) : undefined;
      } catch (error) {
        const reader = { id: frame.id, protocolVersion: client.protocolVersion };
        return isGuardError(error) ? heldReply(reader, error) : brokenReply(reader);
      }
    },
    toolsChanged: (principal = config.tenant) => tools.drop(principal),
    [Symbol.dispose]: claims.end,
    explain: async (upstream, client) =>
      explained(config, await tools.all(upstream, placed(client))),
  };
}

function isPending(came: Came): boolean {
  return came.wants === undefined && came.outcome.status === "pending";
}

/** A case's id in a shell. */
function safeagentApprove(caseId: string): string {
  const isPlain = /^[\w@%+:,./~-]+$/.test(caseId) && !caseId.startsWith("-");
  return `safeagent approve ${isPlain ? caseId : `'${caseId.replaceAll("'", "'\\''")}'`}`;
}
