import { fixture, installed } from "./run.ts";
import { freePort, serve } from "./serve.ts";
import { ledger } from "./shop.ts";

/** Starts an MCP server over Streamable HTTP for the running test, and tells its address. */
export type HttpServer = (home: string) => Promise<string>;

/** The reference server. */
export const everything: HttpServer = async (home) => {
  const port = await freePort();
  await serve(installed("mcp-server-everything", "streamableHttp"), home, /listening on port/, {
    PORT: `${port}`,
  });
  return `http://127.0.0.1:${port}/mcp`;
};

/** A server with all that the conformance suite asks for. */
export const conformance: HttpServer = async (home) =>
  (await serve(fixture("conformance-server.ts"), home, /http:\S+(?=\n)/)).said;

/** The shop, whose ledger stands in the home; speaks the revision of 2026-07-28 and those before it. */
export const shop: HttpServer = async (home) =>
  (await serve(fixture("shop-http-server.ts", ledger(home)), home, /http:\S+(?=\n)/)).said;
