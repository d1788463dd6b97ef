import { randomBytes } from "node:crypto";
import { type Guard, isGuardError } from "../index.ts";
import { createQuestions, listensToApprover, question, type Subject, wordIn } from "./approval.ts";
import { createAsking } from "./asking.ts";
import { type Came, createClaims } from "./claims.ts";
import type { ProxyConfig } from "./config.ts";
import { createCorrections, nameOf } from "./corrections.ts";
import { type Explained, explained } from "./explain.ts";
import { type CallFrame, type ResponseFrame, renamed, withoutContinuation } from "./frame.ts";
import { type Identity, identityOf } from "./identity.ts";
import {
  brokenReply,
  failedReply,
  heldIn,
  heldReply,
  isModern,
  marks,
  type Reader,
  replayOf,
} from "./results.ts";
import { createTools } from "./tools.ts";
import {
  type Guarded,
  type Known,
  needsAnnotations,
  type Treatment,
  treatmentOf,
} from "./treatment.ts";
import type { Client, ElicitAnswer, ToolInfo, Upstream } from "./upstream.ts";
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
  /** Is told what the person who runs the proxy should know, in one line each. */
  readonly tell?: (line: string) => void;
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
  const tell = once(options.tell ?? (() => undefined));
  const tools = createTools({ monotonicMs, onListed: createUnlistedNote(config, tell) });
  const claims = createClaims(guard);
  const window = createWindow(guard, now);
  const corrections = createCorrections(guard);
  const questions = createQuestions(stateKey);
  const asking = createAsking(config.questionMs);

  const treat = async (tool: string, upstream: Upstream, client: Client): Promise<Treatment> => {
    let known: Known = "not asked";
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
    const identity = identityOf(asked.params, treatment, config, client.principal);
    const { requestId } = identity;
    if (identity.from === "arguments") {
      const caseId = await window.caseFor(identity.caseId, treatment.windowMs, requestId);
      return perform(asked, upstream, client, treatment, { ...identity, caseId });
    }
    for (let turn = 1; ; turn += 1) {
      const caseId = nameOf(identity.caseId, turn);
      const named = requestId === undefined ? undefined : nameOf(requestId, turn);
      const effect = { ...identity, caseId, requestId: named };
      try {
        const answer = await perform(asked, upstream, client, treatment, effect);
        const isVoid = heldIn(answer) === "void";
        if (!isVoid || !(await corrections.makesRoom(caseId))) return answer;
      } catch (error) {
        if (!isGuardError(error, "payload_conflict")) throw error;
        if (!(await corrections.makesRoom(caseId))) throw error;
      }
    }
  };

  const perform = async (
    asked: CallFrame,
    upstream: Upstream,
    client: Client,
    treatment: Guarded,
    identity: Identity,
  ): Promise<ResponseFrame> => {
    const { principal } = client;
    const { rule, action, effect, onError, policy, isUnlisted } = treatment;
    const { caseId, requestId, digest, payload, ignore } = identity;
    const same = { caseId, digest, principal };
    const reader = { id: asked.id, protocolVersion: client.protocolVersion };

    const continued = claims.resume(asked, upstream, same);
    if (continued !== undefined) return reply(reader, await continued);

    const isAnswer = questions.isOurs(asked);
    const frame = isAnswer ? withoutContinuation(asked) : asked;
    const { timeoutMs } = rule;
    // Answers to a question that nobody asked: there is nothing to wait for.
    const isStray = !isAnswer && asked.params.requestState !== undefined;
    const waitMs = isStray ? 0 : rule.waitMs;
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
    const call = () =>
      claims.call({ ...same, frame, upstream, onError, isUnlisted, mayDiffer, terms });

    const came = await call();
    const subject = isPending(came) ? await subjectOf(caseId, principal) : undefined;
    const params = subject === undefined ? undefined : question(subject);
    if (subject === undefined || params === undefined || !client.elicits) {
      return reply(reader, came);
    }
    const decided = async (answer: ElicitAnswer) => {
      const isSaid = await writeDown(subject, answer);
      // Who has left doesn't wait for it any more: it was said, and runs when it is asked for again.
      return reply(reader, isSaid && client.left?.aborted !== true ? await call() : came);
    };
    const answer = isAnswer ? questions.answerIn(asked, subject) : undefined;
    if (answer !== undefined) return decided(answer);
    if (isModern(client.protocolVersion)) return questions.ask(reader, subject, params);
    const late = (answer: ElicitAnswer) =>
      void writeDown(subject, answer).catch(() => tell(`an answer about ${caseId} was lost`));
    const said = await asking.ask(caseId, client, params, late);
    return said === undefined ? reply(reader, came) : decided(said);
  };

  /** What may be asked of the person at the client; undefined where their word would not count. */
  const subjectOf = async (
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
    const { server } = config;
    // What is held runs, not what this call worded otherwise.
    return { caseId, fingerprint, principal, server, tool: action, arguments: payload };
  };

  /** Whether there was anything to write down. */
  const writeDown = async (
    { caseId, fingerprint }: Subject,
    answer: ElicitAnswer,
  ): Promise<boolean> => {
    const word = wordIn(answer);
    if (word === undefined) return false;
    const note = "answered at the client's question";
    const said = guard[word](caseId, { actor: config.approver, note, fingerprint });
    await said.catch((error: unknown) => {
      // Somebody else was faster: what they decided is found by asking again.
      if (!isGuardError(error, "held")) throw error;
    });
    return true;
  };

  const reply = (reader: Reader, came: Came): ResponseFrame => {
    if (came.wants !== undefined) return renamed(came.wants, reader.id);
    const { outcome, said, isOwn } = came;
    switch (outcome.status) {
      case "settled":
        // Its server's own answer, byte for byte, for the call that brought it about.
        if (isOwn && !outcome.replayed && said !== undefined) return renamed(said, reader.id);
        return replayOf(reader, outcome, said);
      case "not_performed":
        return said === undefined ? heldReply(reader, outcome) : renamed(said, reader.id);
      case "in_doubt":
        return said === undefined ? heldReply(reader, outcome) : failedReply(reader, said, outcome);
      case "pending": {
        const { caseId } = outcome.case;
        const command = approveCommand(caseId);
        tell(`${JSON.stringify(caseId)} waits for a person: ${command}`);
        return heldReply(reader, outcome, {
          text: `Ask the person to decide about the case ${caseId}; do not approve it yourself.`,
          _meta: { [marks.approve]: command },
        });
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

const rememberedMost = 1_000;

/** Says no line again while it is remembered. */
function once(tell: (line: string) => void): (line: string) => void {
  const told = new Set<string>();
  return (line) => {
    if (told.has(line)) return;
    if (told.size === rememberedMost) told.clear();
    told.add(line);
    tell(line);
  };
}

/** Tells of each rule whose tool the server doesn't have: a name that is misspelt guards nothing. */
function createUnlistedNote(config: ProxyConfig, tell: (line: string) => void) {
  return (tools: ReadonlyMap<string, ToolInfo>) => {
    for (const tool of config.tools.keys()) {
      if (tools.has(tool)) continue;
      tell(
        `the config has rules for the tool ${JSON.stringify(tool)}, which its server does not list`,
      );
    }
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
