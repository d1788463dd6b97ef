import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

// A server over stdio that no SDK made: node odd.ts RECORD. It writes down each line it gets, and
// answers in its own spacing, so that a proxy that reads and writes frames anew is seen.
const [record = ""] = process.argv.slice(2);
const say = (text: string) => process.stdout.write(`${text}\n`);
// A proxy that has failed reads no more.
process.stdout.on("error", () => undefined);
const held: string[] = [];
const heldAnswer = (id: string) => `{"result":{"held":true},"id":${id},"jsonrpc":"2.0"}`;

createInterface({ input: process.stdin })
  .on("line", (line) => {
    appendFileSync(record, `${line}\n`);
    const { id, method, params } = JSON.parse(line);
    const name = JSON.stringify(id);
    // Nobody is left to ask: what was held for that ends.
    if (method === undefined) for (const one of held.splice(0)) say(heldAnswer(one));
    switch (params?.name ?? method) {
      case "die":
        process.exit(7);
        break;
      case "kill":
        process.kill(process.pid, "SIGKILL");
        return;
      case "hold":
        held.push(name);
        return;
      case "release":
        for (const one of held.splice(0)) say(heldAnswer(one));
        break;
      case "twice":
        say(`{"jsonrpc":"2.0","id":${name},"result":{"a":1,"a":2}}`);
        return;
      case "change":
        say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
        break;
      case "ask":
        say(`{"id":"server:${id}" ,"jsonrpc":"2.0","method":"elicitation/create","params":{}}`);
        return;
      case "take time":
        setTimeout(() => say(heldAnswer(name)), 100);
        return;
      case "hold and ask":
        held.push(name);
        say(`{"id":"server:${id}","jsonrpc":"2.0","method":"elicitation/create","params":{}}`);
        return;
      case "tools/list":
        if (params.cursor === "held") {
          held.push(name);
          return;
        }
        say(`{"jsonrpc":"2.0","id":${name},"result":{"tools":[{"name":"hold"}],"nextCursor":"2"}}`);
        return;
      case "large":
        say(`{"jsonrpc":"2.0","id":${name},"result":"${"x".repeat(params.size)}"}`);
        return;
    }
    if (method !== undefined && id !== undefined) {
      say(`{ "result" : {"content":[], "n": 1.0e0} , "id":${name}, "jsonrpc":"2.0" }`);
    }
  })
  .on("close", () => process.exit(0));
