import { expect, test } from "vitest";
import { withServer } from "./servers/with-server.ts";
import { storm } from "./storm.ts";

const ground = withServer({ settings: { max_connections: 300 } });
const right = { doubled: 0, never: 0, torn: 0, errors: [] };

test("8 processes, 60 keys, 3 callers a key: one effect and one receipt each, and no error", async () => {
  const { url } = ground.server;
  const schema = ground.freshSchema();
  const seen = await storm(8, { url, schema, keys: 60, callers: 3, atOnce: 8 });
  expect(seen).toMatchObject({ ...right, effects: 60, calls: 8 * 60 * 3 });
}, 120_000);

test("10,000 callers wait for one key, in one process: one effect, one receipt", async () => {
  const { url } = ground.server;
  const schema = ground.freshSchema();
  const seen = await storm(1, { url, schema, keys: 1, callers: 10_000, atOnce: 1 });
  expect(seen).toMatchObject({ ...right, effects: 1, calls: 10_000 });
  // Of the whole process, Node included: an upper bound for what ten thousand waiters may take.
  expect(seen.mostBytes).toBeLessThan(400 * 2 ** 20);
}, 120_000);
