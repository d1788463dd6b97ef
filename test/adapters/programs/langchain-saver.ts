import { MemorySaver } from "@langchain/langgraph";

/** What the process is told that resumes a thread. */
export interface AgentConfig {
  readonly way: "plain" | "tool" | "middleware";
  readonly effect: "opaque" | "keyed";
  readonly store: string;
  /** Each effect writes its idempotency key here, a line each. */
  readonly ledger: string;
  /** The file with the thread's checkpoints. */
  readonly saved: string;
  readonly dies: boolean;
}

/** All checkpoints of a saver, as a text for a file. */
export function dumped({ storage, writes }: MemorySaver): string {
  return JSON.stringify({ storage, writes }, (_key, value) =>
    value instanceof Uint8Array ? { bytes: Buffer.from(value).toString("base64") } : value,
  );
}

/** A saver with the checkpoints of such a text. */
export function loaded(text: string): MemorySaver {
  const { storage, writes } = JSON.parse(text, (_key, value) =>
    typeof value?.bytes === "string" ? new Uint8Array(Buffer.from(value.bytes, "base64")) : value,
  );
  return Object.assign(new MemorySaver(), { storage, writes });
}
