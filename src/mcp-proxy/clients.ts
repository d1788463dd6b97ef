import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Declared, declaredInCall, nothingDeclared } from "./declared.ts";
import type { CallFrame } from "./frame.ts";

/** Who sends a request over HTTP, and what is known of them. */
export interface Clients {
  /** A client has started: what it says of itself holds for its session. */
  started(request: IncomingMessage, sessionId: string | undefined, declared: Declared): void;
  ended(request: IncomingMessage): void;
  declared(request: IncomingMessage, call: CallFrame): Declared & { readonly isModern: boolean };
}

/** Sessions that are remembered; the oldest is forgotten first, and then isn't asked anything. */
export const knownSessions = 10_000;

export function createClients(): Clients {
  const known = new Map<string, Declared>();
  return {
    started(request, sessionId, declared) {
      const session = scopeOf(request, sessionId);
      known.delete(session);
      known.set(session, declared);
      const [oldest] = known.keys();
      if (known.size > knownSessions && oldest !== undefined) known.delete(oldest);
    },
    ended: (request) => void known.delete(scopeOf(request)),
    declared(request, call) {
      const inCall = declaredInCall(call);
      if (inCall !== undefined) return { ...inCall, isModern: true };
      const { protocolVersion, elicits } = known.get(scopeOf(request)) ?? nothingDeclared;
      const version = single(request.headers["mcp-protocol-version"]) ?? protocolVersion;
      return { protocolVersion: version, elicits, isModern: false };
    },
  };
}

/** The session, and where there is none, the caller: what a request's id is unique in. */
export function scopeOf(
  request: IncomingMessage,
  sessionId: string | undefined = single(request.headers["mcp-session-id"]),
): string {
  return `${principalOf(request) ?? ""}/${sessionId ?? ""}`;
}

/** Headers that servers know their callers by. */
const credentials = ["authorization", "x-api-key"] as const;

/**
 * Who asks, as the server will see it. Only a hash of the credentials: nothing of them is stored,
 * and nobody can name a caller whose credentials they don't have.
 */
export function principalOf(request: IncomingMessage): string | undefined {
  const given = credentials.flatMap((name) => {
    const value = single(request.headers[name]);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  if (given.length === 0) return undefined;
  const digest = createHash("sha256").update(given.join("\n")).digest("hex");
  return `credentials:${digest.slice(0, 32)}`;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
