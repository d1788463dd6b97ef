/**
 * What of a LangChain tool's result is kept in the receipt, and the result that is made of it again
 * for another call. A plain value is kept as it is, so that other frameworks get the same. A message
 * or a `Command` is kept under a mark; a plain value that looks like one is kept under it, too.
 */

/** Makes a message again. */
export type ReviveMessage = (stored: StoredMessage) => unknown;

export interface StoredMessage {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const mark = "langchain";

type Kept =
  | { readonly [mark]: "value"; readonly value: unknown }
  | { readonly [mark]: "message"; readonly message: StoredMessage; readonly own: boolean }
  | { readonly [mark]: "command"; readonly parts: Parts }
  | { readonly [mark]: "lost" };

const kinds: ReadonlySet<unknown> = new Set(["value", "message", "command", "lost"]);

/** What a later call gets where the result could not be kept. */
export const lost =
  "Done, by an earlier call. Its result could not be kept. Do not call it again; continue with other work.";

interface Parts {
  readonly graph?: unknown;
  readonly update?: unknown;
  readonly resume?: unknown;
  readonly goto?: unknown;
}

/** What a receipt is to hold of a result. `isPair`: the tool returns `[content, artifact]`. Never throws: it happened. */
export function keep(result: unknown, callId: string | undefined, isPair: boolean): unknown {
  try {
    if (!isPair || !Array.isArray(result) || result.length !== 2) return kept(result, callId);
    const [content, artifact] = result;
    if (isMessage(content) || isCommand(content)) return kept(content, callId);
    return { content, artifact };
  } catch {
    return { [mark]: "lost" } satisfies Kept;
  }
}

/** The result for a call that did not run it. */
export function recall(
  value: unknown,
  callId: string | undefined,
  isPair: boolean,
  revive: ReviveMessage,
): unknown {
  const copy = structuredClone(value);
  let made: unknown;
  try {
    made = remade(copy, callId, revive);
  } catch {
    // Another framework's value that looks kept, and isn't: it happened all the same.
    return lost;
  }
  if (!isPair || made !== copy || !isRecord(copy)) return made;
  const { content, artifact, ...more } = copy;
  return "content" in copy && Object.keys(more).length === 0 ? [content, artifact] : copy;
}

/** Whether a kept value is all of the result, and what everybody gets. */
export function isPlain(value: unknown): boolean {
  return value !== undefined && !isMarked(value);
}

function kept(value: unknown, callId: string | undefined): unknown {
  if (isMessage(value)) {
    const { type, data } = value.toDict();
    // The id of a message belongs to its place in one conversation, and a call's to one call.
    const { id: _, tool_call_id, ...rest } = data;
    const own = tool_call_id === callId;
    const message = { type, data: asJson(own ? rest : { ...rest, tool_call_id }) };
    return { [mark]: "message", message, own } satisfies Kept;
  }
  if (isCommand(value)) {
    const { graph, update, resume, goto } = value;
    const parts = { graph, update, resume, goto };
    return { [mark]: "command", parts: inner(parts, callId) as Parts } satisfies Kept;
  }
  const looksKept = isRecord(value) && mark in value;
  return looksKept ? ({ [mark]: "value", value } satisfies Kept) : value;
}

/** The same for what is within a command: messages at any depth. */
function inner(value: unknown, callId: string | undefined): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (nameOf(value) === "Send") throw new Error("a Send can't be made again");
  const own = kept(value, callId);
  if (own !== value) return own;
  if (Array.isArray(value)) return value.map((one) => inner(one, callId));
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === "function") return inner(toJSON.call(value), callId);
  const members = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(members.map(([name, one]) => [name, inner(one, callId)]));
}

function remade(value: unknown, callId: string | undefined, revive: ReviveMessage): unknown {
  if (!isMarked(value)) return value;
  switch (value[mark]) {
    case "value":
      return value.value;
    case "lost":
      return lost;
    case "message": {
      const { type, data } = value.message;
      const to = value.own ? { tool_call_id: callId ?? "" } : {};
      return revive({ type, data: { ...data, ...to } });
    }
    case "command":
      return commandOf(innerOf(value.parts, callId, revive) as Parts);
  }
}

function innerOf(value: unknown, callId: string | undefined, revive: ReviveMessage): unknown {
  if (isMarked(value)) return remade(value, callId, revive);
  if (Array.isArray(value)) return value.map((one) => innerOf(one, callId, revive));
  if (!isRecord(value)) return value;
  const members = Object.entries(value);
  return Object.fromEntries(members.map(([name, one]) => [name, innerOf(one, callId, revive)]));
}

/** Structure alone tells them: this runs where LangGraph is not installed. */
function isMessage(value: unknown): value is { readonly toDict: () => StoredMessage } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { toDict, getType } = value as { readonly toDict?: unknown; readonly getType?: unknown };
  return typeof toDict === "function" && typeof getType === "function";
}

function isCommand(value: unknown): value is Parts {
  return typeof value === "object" && value !== null && nameOf(value) === "Command";
}

/** What LangGraph calls its own kinds of objects; a plain object may say anything. */
function nameOf(value: object): unknown {
  const isPlain = Object.getPrototypeOf(value) === Object.prototype || Array.isArray(value);
  return isPlain ? undefined : (value as { readonly lg_name?: unknown }).lg_name;
}

/** What LangGraph asks a command: all that its class has. */
const commandMethods = {
  _updateAsTuples(this: Parts): readonly (readonly [string, unknown])[] {
    const { update } = this;
    if (isRecord(update)) return Object.entries(update);
    if (Array.isArray(update) && update.every(isEntry)) return update;
    return [["__root__", update]];
  },
  toJSON(this: Parts): unknown {
    const { update, resume, goto } = this;
    return { lg_name: "Command", update, resume, goto };
  },
};

function commandOf({ goto, ...parts }: Parts): unknown {
  const kind = { lg_name: "Command", lc_direct_tool_output: true };
  return Object.assign(Object.create(commandMethods), kind, parts, { goto: goto ?? [] });
}

function isEntry(value: unknown): value is readonly [string, unknown] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string";
}

function isMarked(value: unknown): value is Kept {
  return isRecord(value) && kinds.has(value[mark]);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asJson(data: Readonly<Record<string, unknown>>): StoredMessage["data"] {
  return JSON.parse(JSON.stringify(data));
}
