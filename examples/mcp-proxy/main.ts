// In your project: from "safeagent"
// In your client's configuration: "npx", ["safeagent", "mcp", "--", COMMAND, …]

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { createGuard } from "../../src/index.ts";

const server = [process.execPath, resolve(import.meta.dirname, "shop-server.ts")];
const safeagent = [process.execPath, resolve(import.meta.dirname, "../../src/cli/main.ts"), "mcp"];

/** What an MCP client does with its configuration. */
async function connected(...[command = "", ...args]: string[]): Promise<Client> {
  const client = new Client({ name: "agent", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ command, args }));
  return client;
}

async function call(client: Client, name: string, order: string): Promise<string> {
  const { content } = await client.callTool({ name, arguments: { order } });
  const [first] = content as { text: string }[];
  return first?.text ?? "";
}

const refundsOf = (order: string) =>
  (existsSync("refunds") ? readFileSync("refunds", "utf8") : "")
    .split("\n")
    .filter((line) => line.startsWith(`${order} `)).length;

// Without the guard: the model asks twice, and the money goes twice.
const plain = await connected(...server);
for (const _ of [1, 2]) await call(plain, "refund", "A0");
await plain.close();
console.log(`without      asked twice, refunded ${refundsOf("A0")} times`);
assert.equal(refundsOf("A0"), 2);

// The same server behind the guard.
const guarded = await connected(...safeagent, "--", ...server);
const first = await call(guarded, "refund", "A1");
const again = await call(guarded, "refund", "A1");
console.log(`guarded      ${first}; asked again: ${again}`);
assert.equal(again, first);
assert.equal(refundsOf("A1"), 1);
console.log(`read-only    ${await call(guarded, "status", "A1")}`);

// The server dies in the call: the money has gone, and nobody here can know.
const lost = await call(guarded, "refund", "A2");
console.log(`server died  ${lost}`);
assert.match(lost, /^Unknown whether it ran/);
await guarded.close();

// The client starts it again, as clients do, and the model asks again.
const restarted = await connected(...safeagent, "--", ...server);
const asked = await call(restarted, "refund", "A2");
await restarted.close();
console.log(`restarted    ${asked}`);
assert.match(asked, /^Unknown whether it ran/);
assert.equal(refundsOf("A2"), 1);

// A person finds it in the store that the proxy kept, looks at the bank, and says so.
await using guard = createGuard({ store: "safeagent.db" });
const { items } = await guard.list({ states: ["IN_DOUBT"] });
assert.equal(items.length, 1);
for (const { caseId } of items) {
  const value = { content: [{ type: "text", text: "refunded A2, says the bank" }] };
  await guard.resolve(caseId, { happened: true, value }, { by: "ana", evidence: "bank statement" });
}
const resolved = await connected(...safeagent, "--", ...server);
const told = await call(resolved, "refund", "A2");
await resolved.close();
console.log(`resolved     ${told}`);
assert.equal(told, "refunded A2, says the bank");
assert.equal(refundsOf("A2"), 1);
