import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Dialect, endsTransaction } from "../../src/guard/sql.ts";
import { loadSqlite } from "../../src/stores/sqlite-module.ts";
import { withServer } from "../postgres/servers/with-server.ts";

const { DatabaseSync } = loadSqlite();
const server = withServer();
const dialects: readonly Dialect[] = ["postgres", "sqlite"];

const endings = [
  "COMMIT",
  "commit work",
  "End",
  "END TRANSACTION",
  "ABORT",
  "rollback",
  "ROLLBACK WORK",
  "Rollback Transaction",
  "COMMIT AND CHAIN",
  "BEGIN",
  "begin immediate",
  "START TRANSACTION",
  "start\n transaction read only",
  "PREPARE TRANSACTION 'x'",
];

const innocents = [
  "SELECT 1",
  "SAVEPOINT mine",
  "ROLLBACK TO mine",
  "ROLLBACK WORK TO SAVEPOINT mine",
  "rollback transaction to mine",
  "RELEASE mine",
  "PREPARE q AS SELECT 1",
  "SELECT CASE WHEN true THEN 1 END",
  "INSERT INTO end_of_day (commit) VALUES (1)",
  'UPDATE t SET start = 1, "end" = 2',
  "commits",
  "EXPLAIN COMMIT",
  "(COMMIT)",
  "1 COMMIT",
  ":commit",
  "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = CASE c WHEN 1 THEN 2 END; DELETE FROM d; END",
  "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
  "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
  "CREATE PROCEDURE f() BEGIN ATOMIC END",
  "",
];

/** What a text may be wrapped in so that nothing of it is a statement, as one can do it by hand. */
const wrappers: Readonly<Record<Dialect, readonly ((text: string) => string)[]>> = {
  postgres: [
    (text) => `SELECT '${text.replaceAll("'", "''")}'`,
    (text) => `SELECT "${text.replaceAll('"', '""')}"`,
    (text) => `SELECT E'it\\'s ${text.replaceAll(/['\\]/g, "\\$&")}'`,
    (text) => `SELECT e'a' -- and\n '\\'${text.replaceAll(/['\\]/g, "$&$&")}'`,
    (text) => `SELECT $$${text.replaceAll("$", "")}$$`,
    (text) => `SELECT $a1$ $$ $b$ ${text.replaceAll("$", "")} $a1$`,
    (text) => `SELECT 1 /* ${text.replaceAll(/[*/]/g, "")} */`,
    (text) => `SELECT 1 /* /* */ ; ${text.replaceAll(/[*/]/g, "")} */`,
    (text) => `SELECT 1 -- ${text.replaceAll(/[\n\r]/g, " ")}\n`,
  ],
  sqlite: [
    (text) => `SELECT '${text.replaceAll("'", "''")}'`,
    (text) => `SELECT 'C:\\', '${text.replaceAll("'", "''")}'`,
    (text) => `SELECT "${text.replaceAll('"', '""')}"`,
    (text) => `SELECT \`${text.replaceAll("`", "``")}\``,
    (text) => `SELECT [${text.replaceAll("]", "")}]`,
    (text) => `SELECT 1 /* ${text.replaceAll(/[*/]/g, "")} */`,
    (text) => `SELECT 1 -- ${text.replaceAll("\n", "\r")}\n`,
  ],
};

const spaces = [
  " ",
  "\n",
  "\t",
  "\r\n",
  "\f",
  "/* said */",
  "-- said\n",
  "/**/",
  "/***/",
  "\ufeff",
];

const oddCase = (text: string, upper: readonly boolean[]) =>
  [...text].map((c, at) => (upper[at % upper.length] ? c.toUpperCase() : c.toLowerCase())).join("");

const arbitrary = {
  space: fc.array(fc.constantFrom(...spaces), { maxLength: 3 }).map((all) => all.join("")),
  case: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
  ending: fc.constantFrom(...endings),
  innocent: (dialect: Dialect) =>
    fc.oneof(
      fc.constantFrom(...innocents),
      fc
        .tuple(fc.constantFrom(...wrappers[dialect]), fc.constantFrom(...endings), fc.string())
        .map(([wrap, text, more]) => wrap(`${more}; ${text};${more}`)),
    ),
};

describe.each(dialects)("a script for %s", (dialect) => {
  test.each(endings)("%s ends it", (text) => {
    expect(endsTransaction(text, dialect)).toBe(true);
    expect(endsTransaction(`SELECT 1;${text};`, dialect)).toBe(true);
  });

  test.each(innocents)("%s doesn't", (text) => {
    expect(endsTransaction(text, dialect)).toBe(false);
    expect(endsTransaction(`${text};${text}`, dialect)).toBe(false);
  });

  test("an end is seen in whatever case, behind whatever comes before it", () => {
    const { space, ending, innocent } = arbitrary;
    const before = fc.array(innocent(dialect), { maxLength: 4 });
    fc.assert(
      fc.property(before, space, ending, arbitrary.case, (all, gap, text, upper) => {
        const script = [...all, `${gap}${oddCase(text, upper)}`].join(";");
        expect(endsTransaction(script, dialect)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("what is no statement is none", () => {
    const { space, innocent } = arbitrary;
    fc.assert(
      fc.property(fc.array(innocent(dialect), { maxLength: 5 }), space, (all, gap) => {
        expect(endsTransaction(all.join(`;${gap}`), dialect)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test("any text is read to its end", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(typeof endsTransaction(`${text} COMMIT ${text}`, dialect)).toBe("boolean");
      }),
      { numRuns: 2_000 },
    );
    for (const long of ["'", "/*", "E'", "$$", "-- ", "\\'", ";", "a "]) {
      endsTransaction(`${long.repeat(200_000)} COMMIT`, dialect);
    }
  });
});

test("the databases differ, and are read as they read", () => {
  const apart: readonly (readonly [script: string, postgres: boolean, sqlite: boolean])[] = [
    ["/* /* */ COMMIT; */", false, true],
    ["-- a\rCOMMIT", true, false],
    ["SELECT $$; COMMIT; $$", false, true],
    ["SELECT E'\\'; COMMIT; '", false, true],
    ["SELECT E'\\''; COMMIT", true, false],
    ["SELECT [;COMMIT;]", true, false],
    ["SELECT `;COMMIT;`", true, false],
    ["SELECT a$$; COMMIT; SELECT a$$", true, true],
  ];
  for (const [script, postgres, sqlite] of apart) {
    expect([script, endsTransaction(script, "postgres")]).toEqual([script, postgres]);
    expect([script, endsTransaction(script, "sqlite")]).toEqual([script, sqlite]);
  }
});

// Pieces of which any row is a riddle; the databases themselves are asked for its answer.
const pieces = [
  ..."'\"`[]$;\\-/*\n\r\t ",
  "''",
  "/*",
  "*/",
  "--",
  "$$",
  "$a$",
  "$1",
  "E'",
  "e'\\'",
  "SELECT 1",
  "SELECT 'a'",
  "SELECT ",
  ";COMMIT;",
  ";ROLLBACK;",
  "\nEND\n",
  ";ROLLBACK TO mine;",
  "\ufeff",
  "x",
];
const riddle = fc.array(fc.constantFrom(...pieces), { maxLength: 10 }).map((all) => all.join(""));

test("SQLite takes nothing for an end that isn't seen, and nothing is seen that is none", () => {
  const db = new DatabaseSync(":memory:");
  const answers = { ended: 0, went: 0 };
  fc.assert(
    fc.property(riddle, (script) => {
      db.exec("BEGIN; SAVEPOINT mine");
      let failed = false;
      try {
        db.exec(script);
      } catch {
        failed = true;
      }
      const { isTransaction } = db;
      if (isTransaction) db.exec("ROLLBACK");
      if (!isTransaction) answers.ended += 1;
      else if (!failed) answers.went += 1;
      if (!isTransaction || !failed) {
        expect(endsTransaction(script, "sqlite")).toBe(!isTransaction);
      }
    }),
    { numRuns: 20_000 },
  );
  db.close();
  expect(Math.min(answers.ended, answers.went)).toBeGreaterThan(100);
});

test("nor does Postgres", async () => {
  const client = await server.pool().connect();
  const answers = { ended: 0, went: 0 };
  await fc.assert(
    fc.asyncProperty(riddle, async (script) => {
      await client.query("BEGIN; SAVEPOINT mine");
      const failed = await client.query(script).then(
        () => false,
        () => true,
      );
      const isOver = client.getTransactionStatus?.() === "I";
      if (!isOver) await client.query("ROLLBACK");
      if (isOver) answers.ended += 1;
      else if (!failed) answers.went += 1;
      if (isOver || !failed) expect(endsTransaction(script, "postgres")).toBe(isOver);
    }),
    { numRuns: 5_000 },
  );
  client.release();
  expect(Math.min(answers.ended, answers.went)).toBeGreaterThan(50);
});
