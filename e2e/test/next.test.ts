import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { installed, run } from "../support/run.ts";
import { freePort, serve } from "../support/serve.ts";

const workspace = fileURLToPath(new URL("../", import.meta.url));
let app: string;

// The package as it would be installed, then the app as it would be deployed.
beforeAll(async () => {
  mkdirSync(join(workspace, ".scratch"), { recursive: true });
  app = mkdtempSync(join(workspace, ".scratch/next-"));
  cpSync(join(workspace, "fixtures/next-app"), app, { recursive: true });
  const library = join(app, "node_modules/safeagent");
  mkdirSync(library, { recursive: true });
  cpSync(join(workspace, "../package.json"), join(library, "package.json"));
  const project = join(workspace, "../tsconfig.build.json");
  await run(installed("tsc", "-p", project, "--outDir", join(library, "dist")), app);
  const built = await run(installed("next", "build"), app, {
    NEXT_TELEMETRY_DISABLED: "1",
    STORE: join(app, "build.db"),
  });
  expect(built.code, built.stderr).toBe(0);
});
afterAll(() => rmSync(app, { recursive: true, force: true }));

/** Starts the app for the running test; `post` sends it an order. */
async function nextApp(home: string) {
  const ledger = join(home, "ledger.txt");
  const port = await freePort();
  const env = { NEXT_TELEMETRY_DISABLED: "1", STORE: join(home, "safeagent.db"), LEDGER: ledger };
  writeFileSync(ledger, "", { flag: "a" });
  const command = installed("next", "start", app, "-H", "127.0.0.1", "-p", `${port}`);
  const server = await serve(command, home, /Ready in/, env);

  const post = async (path: string, order: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "ana", ...headers },
      body: JSON.stringify(order),
    });
    const replayed = response.headers.get("idempotent-replayed");
    const type = response.headers.get("content-type");
    return { status: response.status, type, replayed, body: await response.json() };
  };
  const runs = () => readFileSync(ledger, "utf8").split("\n").filter(Boolean);
  return { post, runs, server };
}

const order = { orderId: "A1", cents: 500 };
const key = { "idempotency-key": '"order-A1"' };
const json = "application/json";
const problem = "application/problem+json";

test("a route handler that is posted to twice runs twice", async () => {
  const { post, runs } = await nextApp(ownFolder());
  expect((await post("/plain", order, key)).body).toEqual({ refund: 1, ...order });
  expect((await post("/plain", order, key)).body).toEqual({ refund: 2, ...order });
  expect(runs()).toEqual(["A1 500", "A1 500"]);
});

test("guarded it runs once: the retry gets the first answer, another body 422, no key 400", async () => {
  const { post, runs } = await nextApp(ownFolder());
  const body = { refund: 1, ...order };
  expect(await post("/refunds", order, key)).toEqual({
    status: 201,
    type: json,
    replayed: null,
    body,
  });
  expect(await post("/refunds", order, key)).toEqual({
    status: 201,
    type: json,
    replayed: "true",
    body,
  });
  const other = await post("/refunds", { ...order, cents: 501 }, key);
  expect(other).toMatchObject({ status: 422, type: problem, replayed: null });
  expect(await post("/refunds", order)).toMatchObject({ status: 400, type: problem });
  expect(await post("/refunds", order, { ...key, authorization: "" })).toMatchObject({
    status: 401,
  });
  expect(runs()).toEqual(["A1 500"]);
});

test("another caller's equal key is another key", async () => {
  const { post, runs } = await nextApp(ownFolder());
  expect((await post("/refunds", order, key)).body.refund).toBe(1);
  expect((await post("/refunds", order, { ...key, authorization: "ben" })).body.refund).toBe(2);
  expect(runs()).toEqual(["A1 500", "A1 500"]);
});

test("20 equal requests at once run once, on two servers and after both were killed", async () => {
  const home = ownFolder();
  const servers = [await nextApp(home), await nextApp(home)];
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => servers[i % 2]?.post("/refunds", order, key)),
  );
  const statuses = new Set(answers.map((answer) => answer?.status));
  expect(statuses).toContain(201);
  expect([...statuses].filter((status) => status !== 201 && status !== 409)).toEqual([]);
  for (const { server } of servers) await server.end("SIGKILL");

  const { post, runs } = await nextApp(home);
  const again = await post("/refunds", order, key);
  expect(again).toMatchObject({ status: 201, replayed: "true", body: { refund: 1 } });
  expect(runs()).toEqual(["A1 500"]);
});
