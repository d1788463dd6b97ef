import { randomFillSync } from "node:crypto";

const keyBytes = 23;
const pool = Buffer.alloc(keyBytes * 1_024);
let used = pool.length;

/** A random key of 31 characters, made alike for every system: random keys are the hard case for an index. */
export function newKey(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += keyBytes;
  return pool.toString("base64url", used - keyBytes, used);
}

export const action = "send_email";

export interface Payload {
  readonly to: string;
  readonly subject: string;
  readonly invoice: string;
  readonly amount: { readonly cents: number; readonly currency: string };
  readonly body: string;
}

/** About 190 bytes of JSON, its members in the order a developer would write them. */
export function payloadOf(key: string): Payload {
  return {
    to: "c.lovelace@example.com",
    subject: "Your invoice",
    invoice: key,
    amount: { cents: 12_900, currency: "EUR" },
    body: "Please find your invoice attached. Thanks",
  };
}
