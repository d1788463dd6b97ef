import { type CallFrame, isMembers, type Members, type RequestFrame } from "./frame.ts";

/** What a client says of itself. */
export interface Declared {
  readonly protocolVersion: string | undefined;
  /** It can ask its user by a form. */
  readonly elicits: boolean;
}

/** What is known of a client that has said nothing. */
export const nothingDeclared: Declared = { protocolVersion: undefined, elicits: false };

/** Until 2025-11-25: said once, at the start. */
export function declaredAtStart(initialize: RequestFrame): Declared {
  const { params } = initialize.message;
  const { capabilities, protocolVersion } = isMembers(params) ? params : {};
  return { protocolVersion: textOf(protocolVersion), elicits: asksByForm(capabilities) };
}

/** From 2026-07-28 on: said in every request. */
export function declaredInCall(call: CallFrame): Declared | undefined {
  const { _meta } = call.params;
  const protocolVersion = textOf(_meta[envelope.protocolVersion]);
  if (protocolVersion === undefined) return undefined;
  return { protocolVersion, elicits: asksByForm(_meta[envelope.clientCapabilities]) };
}

const envelope = {
  protocolVersion: "io.modelcontextprotocol/protocolVersion",
  clientInfo: "io.modelcontextprotocol/clientInfo",
  clientCapabilities: "io.modelcontextprotocol/clientCapabilities",
} as const;

/** What a request of our own has to say of the client, on whose behalf it is made. */
export function envelopeOf(meta: Members): Members | undefined {
  const said = Object.values(envelope).flatMap((name) =>
    meta[name] === undefined ? [] : [[name, meta[name]] as const],
  );
  return said.length === 0 ? undefined : Object.fromEntries(said);
}

/** The same for a request that is made on nobody's behalf. */
export function ownEnvelope(protocolVersion: string, clientInfo: Members): Members {
  return {
    [envelope.protocolVersion]: protocolVersion,
    [envelope.clientInfo]: clientInfo,
    [envelope.clientCapabilities]: {},
  };
}

/** An empty `elicitation` means forms too: the first revision that had it knew nothing else. */
function asksByForm(capabilities: unknown): boolean {
  if (!isMembers(capabilities) || !isMembers(capabilities.elicitation)) return false;
  const { elicitation } = capabilities;
  return isMembers(elicitation.form) || Object.keys(elicitation).length === 0;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
