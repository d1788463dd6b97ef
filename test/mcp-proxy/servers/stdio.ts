import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { groundAt } from "./ground.ts";
import { serverV1 } from "./v1.ts";
import { serverV2 } from "./v2.ts";

// A fixture server over stdio: node stdio.ts v1|v2 LEDGER
const [version, ledger = ""] = process.argv.slice(2);
const ground = groundAt(ledger);
if (version === "v1") await serverV1(ground).connect(new StdioServerTransport());
else serveStdio(() => serverV2(ground));
// A server whose client has gone is of no use, whatever its tools still do.
process.stdin.on("end", () => process.exit());
