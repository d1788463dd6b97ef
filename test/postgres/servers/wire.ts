/** A message of PostgreSQL's protocol, as its bytes. */
export interface Message {
  /** The letter before it; "" for the ones that open a connection, which have none. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** A statement that runs, and the name it was prepared under: "" for none. */
export interface Statement {
  readonly name: string;
  readonly sql: string;
}

const tlsRequests = [80877103, 80877104];
const cancelRequest = 80877102;

/** Cuts what a client sends into messages. */
export function clientMessages(): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0);
  let open = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const letters = open ? 1 : 0;
      const bytes = firstOf(rest, letters);
      if (bytes === undefined) return messages;
      rest = rest.subarray(bytes.length);
      const message = { type: open ? letterOf(bytes) : "", bytes };
      if (opensSession(message)) open = true;
      messages.push(message);
    }
  };
}

/** Cuts what a server sends into messages; `bareBytes` says how many answers without a length come first. */
export function serverMessages(bareBytes: () => number): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0);
  let bare = 0;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const isBare = bare < bareBytes();
      const bytes = isBare && rest.length > 0 ? rest.subarray(0, 1) : firstOf(rest, 1);
      if (bytes === undefined) return messages;
      if (isBare) bare += 1;
      rest = rest.subarray(bytes.length);
      messages.push({ type: isBare ? "" : letterOf(bytes), bytes });
    }
  };
}

function firstOf(rest: Buffer, letters: number): Buffer | undefined {
  if (rest.length < letters + 4) return undefined;
  const length = letters + rest.readInt32BE(letters);
  return rest.length < length ? undefined : rest.subarray(0, length);
}

const letterOf = (bytes: Buffer) => String.fromCharCode(bytes[0] ?? 0);

const codeOf = ({ type, bytes }: Message) => (type === "" ? bytes.readInt32BE(4) : 0);

/** Asks for encryption: answered by one bare byte. */
export const asksForTls = (message: Message) => tlsRequests.includes(codeOf(message));

export function opensSession(message: Message): boolean {
  return message.type === "" && !asksForTls(message) && codeOf(message) !== cancelRequest;
}

/** Parse, Bind, Describe, Execute and Close wait for what comes after them: nothing is sent back before. */
export const waits = ({ type }: Message) => type !== "" && "PBDEC".includes(type);

/** Query, function call, Sync, and the opening itself: the server says once more that it is ready. */
export const asksForReady = (message: Message) =>
  message.type === "" ? opensSession(message) : "QFS".includes(message.type);

export const saysFailed = ({ type }: Message) => type === "E";

export const saysReady = ({ type }: Message) => type === "Z";

/** Reads a connection's messages: which statement, if any, does each of them run? A name is prepared once and run often. */
export function statementReader(): (message: Message) => Statement | undefined {
  const prepared = new Map<string, Statement>();
  const portals = new Map<string, Statement>();
  return ({ type, bytes }) => {
    const [first = "", second = ""] = strings(bytes);
    switch (type) {
      case "Q":
        return { name: "", sql: first };
      case "P":
        prepared.set(first, { name: first, sql: second });
        return undefined;
      case "B": {
        const statement = prepared.get(second);
        if (statement !== undefined) portals.set(first, statement);
        return undefined;
      }
      case "E":
        return portals.get(first);
    }
    return undefined;
  };
}

/** The two texts that such a message begins with. */
function strings(bytes: Buffer): string[] {
  const end = bytes.indexOf(0, 5);
  if (end === -1) return [];
  const secondEnd = bytes.indexOf(0, end + 1);
  const second = secondEnd === -1 ? "" : bytes.toString("utf8", end + 1, secondEnd);
  return [bytes.toString("utf8", 5, end), second];
}
