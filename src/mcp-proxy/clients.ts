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
  /** The session, and where there is none, the caller: what a request's id is unique in. */
  scopeOf(request: IncomingMessage): string;
}

/** Who asks, as the server will see it; undefined where nothing tells. */
export type PrincipalOf = (request: IncomingMessage) => string | undefined;

/** Sessions that are remembered; the oldest is forgotten first, and then isn't asked anything. */
export const knownSessions = 10_000;

export function createClients(principalOf: PrincipalOf): Clients {
  const known = new Map<string, Declared>();
  const scopeOf = (request: IncomingMessage, sessionId = sessionOf(request)) =>
    `${principalOf(request) ?? ""}/${sessionId ?? ""}`;
  return {
    started(request, sessionId, declared) {
      const session = scopeOf(request, sessionId);
      known.delete(session);
      known.set(session, declared);
      const [oldest] = known.keys();
      if (known.size > knownSessions && oldest !== undefined) known.delete(oldest);
    },
    scopeOf: (request) => scopeOf(request),
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

/** A request's session. */
export function sessionOf(request: IncomingMessage): string | undefined {
  return single(request.headers["mcp-session-id"]);
}

/** Headers that servers know their callers by; a query may hold a token too. */
const credentials = [
  ...["authorization", "proxy-authorization", "cookie"],
  ...["x-api-key", "api-key", "x-auth-token", "x-access-token"],
];

/**
 * Tells callers apart by these and other headers. Only by a hash of the credentials: nothing of them
 * is stored, and nobody can name a caller whose credentials they don't have.
 */
export function principals(headers: readonly string[]): PrincipalOf {
  const names = [...new Set([...credentials, ...headers.map((name) => name.toLowerCase())])];
  return (request) => {
    const { search } = new URL(request.url ?? "/", "http://proxy");
    const given = names.flatMap((name) => {
      const value = single(request.headers[name]);
      return value === undefined ? [] : [`${name}: ${value}`];
    });
    if (search !== "") given.push(search);
    if (given.length === 0) return undefined;
    const digest = createHash("sha256").update(given.join("\n")).digest("hex");
    return `credentials:${digest.slice(0, 32)}`;
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
