import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createGuard } from "../../src/index.ts";
import { testFolder } from "../crash/folder.ts";
import { withServer } from "./servers/with-server.ts";

const ground = withServer();
const call = { requestId: "a", action: "pay", payload: {}, run: () => 1 };

test.each(["", "?schema=payments", "?application_name=mine&schema=payments"])(
  "createGuard with an address%s",
  async (query) => {
    const address = ground.server.url.replace("postgres://", "postgresql://") + query;
    await using guard = createGuard({ store: address });
    expect(await guard.execute(call)).toMatchObject({ status: "settled" });
    const schema = query === "" ? "safeagent" : "payments";
    const { rows } = await ground.pool().query(`select id from ${schema}.cases`);
    expect(rows).toEqual([{ id: "a" }]);
  },
);

test.each([
  ["postgres://me:geheim@", "invalid_request"],
  ["postgres://me:geheim%zz@127.0.0.1/db", "invalid_request"],
  ["postgres://me:geheim@127.0.0.1:99999/db", "invalid_request"],
  ["postgres://me:geheim@127.0.0.1/db?schema=Not-A-Name", "invalid_request"],
])("%s is refused at once, without its password", (store, code) => {
  let error: unknown;
  try {
    createGuard({ store });
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code });
  expect(textOf(error)).not.toContain("geheim");
});

test("a server that isn't there, or knows neither user nor database: no error has the password", async () => {
  const { port } = ground.server;
  const addresses = [
    "postgres://me:geheim@127.0.0.1:1/db",
    `postgres://nobody:geheim@127.0.0.1:${port}/postgres`,
    `postgres://postgres:geheim@127.0.0.1:${port}/nowhere`,
    "postgres://me:geheim@no-such-host.invalid/db",
  ];
  const refused = addresses.map(async (address) => {
    await using guard = createGuard({ store: address });
    const error: unknown = await guard.execute(call).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "store_unavailable", effect: "none" });
    expect(textOf(error)).not.toContain("geheim");
  });
  await Promise.all(refused);
}, 60_000);

/** All that a log would show of it, its causes included. */
function textOf(error: unknown): string {
  const { message, stack, cause } = error as Error;
  const own = JSON.stringify(error, Object.getOwnPropertyNames(error));
  return `${message} ${stack} ${own} ${cause === undefined ? "" : textOf(cause)}`;
}

test("without the package pg: the error says what to install", () => {
  const folder = testFolder();
  cpSync(fileURLToPath(new URL("../../src", import.meta.url)), join(folder, "src"), {
    recursive: true,
  });
  const script = `import { createGuard } from "./src/index.ts";
    try { createGuard({ store: "postgres://localhost/db" }); } catch (error) { console.log(error.code, error.message); }`;
  const args = ["--input-type=module", "-e", script];
  const said = execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  expect(said).toContain("invalid_request");
  expect(said).toContain("npm install pg");
});
