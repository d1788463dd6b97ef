import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A model on loopback that says what it is told to say. */
export interface FakeModel {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** What the model was handed for its tool calls: call id → text. */
  readonly results: ReadonlyMap<string, string>;
}

/** One question to the model: the body posted, and the results in it are noted by `note`. */
export interface Question {
  readonly path: string;
  readonly body: unknown;
  readonly note: (callId: string, text: string) => void;
}

/** The server-sent events that answer a question, or JSON; undefined for a path the model lacks. */
export type Answer =
  | { readonly events: readonly { readonly type: string }[] }
  | { readonly json: unknown }
  | undefined;

/** Starts a model server for the running test. */
export async function fakeModel(answer: (question: Question) => Answer): Promise<FakeModel> {
  const results = new Map<string, string>();
  const note = (callId: string, text: string) => void results.set(callId, text);

  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const said = answer({ path: request.url ?? "/", body, note });
    if (said === undefined) {
      response.writeHead(404, { "content-type": "application/json" }).end("{}");
    } else if ("json" in said) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(said.json));
    } else {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const event of said.events) {
        response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      }
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, results };
}
