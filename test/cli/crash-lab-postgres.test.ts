import { expect, test } from "vitest";
import { shownAddress } from "../../src/cli/crash-lab/store.ts";
import { withServer } from "../postgres/servers/with-server.ts";
import { safeagent } from "./safeagent.ts";

const ground = withServer();

test("safeagent crash-lab --store postgres://…: the guard holds on a server, and other data is left alone", async () => {
  const url = new URL(ground.server.url);
  url.searchParams.set("schema", "lab");
  url.password = "not-to-be-shown";
  const options = ["--kills", "6", "--zombies", "2", "--seed", "1", "--json"];
  const { code, stdout } = await safeagent(["crash-lab", ...options, "--store", url.href]);
  const { ok, data } = JSON.parse(stdout) as {
    readonly ok: boolean;
    readonly data: {
      readonly findings: readonly { readonly role: string; readonly failures: readonly string[] }[];
    };
  };
  expect(data.findings.flatMap(({ failures }) => failures)).toEqual([]);
  expect([ok, code]).toEqual([true, 0]);
  expect(data.findings.filter(({ role }) => role === "defence")).toHaveLength(3);
  expect(stdout).not.toContain("not-to-be-shown");
  const pool = ground.pool();
  const { rows } = await pool.query(
    "select count(*)::int as cases, bool_and(namespace like 'crash-lab-%') as own from lab.cases",
  );
  expect(rows[0].own).toBe(true);
  expect(rows[0].cases).toBeGreaterThan(6);
}, 180_000);

test.each([
  ["safeagent.db", "safeagent.db"],
  ["postgres://me:secret@host/db", "postgres://me:***@host/db"],
  ["postgres://host/db?password=secret", "postgres://host/db?password=***"],
])("%s is shown as %s", (address, shown) => {
  expect(shownAddress(address)).toBe(shown);
});
