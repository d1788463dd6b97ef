import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { type Context, Hono } from "hono";
import {
  effectOf,
  expressIdempotency,
  fastifyIdempotency,
  honoIdempotency,
  type IdempotencyRules,
  idempotent,
  notPerformed,
  withIdempotency,
} from "../../src/http/index.ts";
import type { Guard } from "../../src/index.ts";

/** What a route is told of a request, in whatever framework. */
export interface Call {
  readonly path: string;
  /** The body as the framework's own way of reading it gives it. */
  readonly body: unknown;
  /** The guard's key for the effect; undefined where nothing guards. */
  readonly key: string | undefined;
}

/** What a route answers. */
export interface Said {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  /** Sends a stream of events. */
  readonly streams?: true;
  /** Says that nothing happened. */
  readonly freed?: true;
}

export type Route = (call: Call) => Said | Promise<Said>;

export interface Running {
  readonly url: string;
  close(): Promise<void>;
}

/** A server framework: the same routes, its own way of writing them, with a guard or plain. */
export interface Host {
  readonly name: string;
  /** What becomes of a handler's answer after its time. */
  readonly late: "recorded" | "lost";
  /** Whether the guard gets JSON as a parser has left it. */
  readonly isParsed: boolean;
  start(route: Route, guard: Guard | undefined, rules?: HostRules): Promise<Running>;
}

/** `within`: the rules of a second guard, within the first; or the first one mounted again. */
export type HostRules = IdempotencyRules & { readonly within?: IdempotencyRules | "same" };

export const events = "data: 1\n\ndata: 2\n\n";

/** Every caller authenticates by a header, as behind a proxy that did. */
const principalHeader = "x-user";

function keyIn(request: object): string | undefined {
  try {
    return effectOf(request).idempotencyKey;
  } catch {
    return undefined;
  }
}

function read(text: string, type: string | null): unknown {
  return type?.includes("json") === true ? JSON.parse(text) : text;
}

function responseOf(said: Said): Response {
  const headers = new Headers(said.headers);
  if (said.streams === true) headers.set("content-type", "text/event-stream");
  const content = said.bytes === undefined ? null : new Uint8Array(said.bytes);
  const response =
    said.json === undefined
      ? new Response(said.streams === true ? events : content, { status: said.status, headers })
      : Response.json(said.json, { status: said.status, headers });
  return said.freed === true ? notPerformed(response) : response;
}

const fetchHandler: Host = {
  name: "a fetch handler, as Next has it",
  late: "recorded",
  isParsed: false,
  async start(route, guard, { within, ...rules } = {}) {
    const principal = (request: Request) => request.headers.get(principalHeader) ?? undefined;
    const handler = async (request: Request, context: { params: Promise<object> }) => {
      expectContext(context);
      const body = read(await request.text(), request.headers.get("content-type"));
      const path = new URL(request.url).pathname;
      return responseOf(await route({ path, body, key: keyIn(request) }));
    };
    const POST =
      guard === undefined
        ? handler
        : withIdempotency(
            guard,
            { ...(within === undefined || within === "same" ? rules : within), principal },
            handler,
          );
    const GET = async () => Response.json({ read: true });
    const serve = (request: Request) =>
      request.method === "GET" ? GET() : POST(request, { params: Promise.resolve({}) });
    if (guard === undefined || within === undefined) return fetchServer(serve);
    const outer = idempotent(guard, { ...rules, principal });
    return fetchServer((request) => outer(request, serve));
  },
};

function expectContext(context: { readonly params: Promise<object> }): void {
  if (!(context.params instanceof Promise)) throw new Error("the route's context was lost");
}

const hono: Host = {
  name: "Hono",
  late: "lost",
  isParsed: false,
  async start(route, guard, { within, ...rules } = {}) {
    const app = new Hono();
    const sub = new Hono();
    // Hono's own error handler writes to the console.
    app.onError((_error, c) => c.json({ error: "internal" }, 500));
    if (guard !== undefined) {
      const principal = (c: Context) => c.req.header(principalHeader);
      app.use("/refunds", async (c, next) => {
        await next();
        c.header("x-outer", "1");
      });
      const once = honoIdempotency(guard, { ...rules, principal });
      app.use(once);
      if (within === "same") sub.use(once);
      else if (within !== undefined) sub.use(honoIdempotency(guard, { ...within, principal }));
    }
    app.get("*", (c) => c.json({ read: true }));
    sub.post("*", async (c) => {
      const body = read(await c.req.text(), c.req.header("content-type") ?? null);
      const said = await route({ path: c.req.path, body, key: keyIn(c.req.raw) });
      if (said.json === undefined || said.freed === true) return responseOf(said);
      return c.json(said.json as object, said.status as 201, { ...said.headers });
    });
    app.route("/", sub);
    return fetchServer((request) => app.fetch(request));
  },
};

const expressHost: Host = {
  name: "Express 5",
  late: "recorded",
  isParsed: true,
  async start(route, guard, { within, ...rules } = {}) {
    const app = express();
    const router = express.Router();
    const principal = (request: express.Request) => request.get(principalHeader);
    const guarded =
      guard === undefined ? undefined : expressIdempotency(guard, { ...rules, principal });
    app.use(express.json());
    if (guard !== undefined && guarded !== undefined) {
      app.use(guarded);
      if (within === "same") router.use(guarded);
      else if (within !== undefined) {
        router.use(expressIdempotency(guard, { ...within, principal }));
      }
    }
    app.get("/{*path}", (_request, response) => {
      response.json({ read: true });
    });
    router.post("/{*path}", async (request, response) => {
      const body = Buffer.isBuffer(request.body) ? request.body.toString() : request.body;
      const said = await route({ path: request.path, body, key: keyIn(request) });
      response.status(said.status).set({ ...said.headers });
      if (said.freed === true) notPerformed(response);
      if (said.streams === true) {
        response.type("text/event-stream");
        response.flushHeaders();
        response.write(events);
        response.end();
      } else if (said.json !== undefined) response.json(said.json);
      else if (said.bytes !== undefined) response.end(Buffer.from(said.bytes));
      else response.end();
    });
    app.use(router);
    if (guarded !== undefined) app.use(guarded.errors);
    app.use(quiet);
    return nodeServer(app.listen(0, "127.0.0.1"));
  },
};

/** Express's own error handler writes to the console. */
const quiet: express.ErrorRequestHandler = (_error, _request, response, _next) => {
  response.status(500).json({ error: "internal" });
};

type FastifyHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const fastifyHost: Host = {
  name: "Fastify 5",
  late: "recorded",
  isParsed: true,
  async start(route, guard, { within, ...rules } = {}) {
    const app = fastify();
    app.addContentTypeParser("text/plain", { parseAs: "string" }, (_request, body, done) =>
      done(null, body),
    );
    app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (_r, body, done) =>
      done(null, body),
    );
    const principal = (request: { readonly headers: FastifyHeaders }) =>
      request.headers[principalHeader] as string | undefined;
    const first =
      guard === undefined ? undefined : fastifyIdempotency(guard, { ...rules, principal });
    if (first !== undefined) await app.register(first);
    app.get("/*", () => ({ read: true }));
    await app.register(async (scope) => {
      if (within === "same" && first !== undefined) await scope.register(first);
      else if (within !== undefined && guard !== undefined) {
        await scope.register(fastifyIdempotency(guard, { ...(within as object), principal }));
      }
      scope.post("/*", async (request, reply) => {
        const key = keyIn(request);
        const said = await route({ path: request.url.split("?")[0]!, body: request.body, key });
        reply.code(said.status).headers({ ...said.headers });
        if (said.freed === true) notPerformed(reply);
        if (said.streams === true) {
          return reply.type("text/event-stream").send(new Response(events).body);
        }
        if (said.json !== undefined) return reply.send(said.json);
        return reply.send(said.bytes === undefined ? undefined : Buffer.from(said.bytes));
      });
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, close: () => app.close() };
  },
};

export const hosts: readonly Host[] = [fetchHandler, hono, expressHost, fastifyHost];

export async function fetchServer(
  handle: (request: Request) => Response | Promise<Response>,
): Promise<Running> {
  return nodeServer(serve({ fetch: handle, port: 0, hostname: "127.0.0.1" }) as Server);
}

export async function nodeServer(server: Server): Promise<Running> {
  if (!server.listening) await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
