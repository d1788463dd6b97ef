/** A process that makes a store where there may be none yet, and commits one case. */
import { Pool } from "pg";
import { postgresStore } from "../../../src/stores/postgres.ts";
import { claim, story } from "../../../src/testing/store-cases.ts";

const [url = "", schema = "", id = ""] = process.argv.slice(2);
const pool = new Pool({ connectionString: url });
const store = postgresStore({ pool, schema });
if (!(await store.commit(story(id, [claim()]).steps))) throw new Error("It did not land.");
await store.close();
await pool.end();
