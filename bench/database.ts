import { Client } from "pg";

/** The address of a database on the server that an address leads to. */
export function databaseAt(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

export function isAddress(path: string): boolean {
  return path.startsWith("postgres:");
}

/** Makes a database, empty or as a copy of another one of its server that nobody uses. */
export async function createDatabase(address: string, copyOf?: string): Promise<void> {
  const template = copyOf === undefined ? "" : ` TEMPLATE ${nameIn(copyOf)}`;
  await onServerOf(address, (admin) =>
    admin.query(`CREATE DATABASE ${nameIn(address)}${template} STRATEGY file_copy`),
  );
}

/** And a checkpoint, so that what one task wrote is not written back in the time of the next. */
export async function dropDatabase(address: string): Promise<void> {
  await onServerOf(address, async (admin) => {
    await admin.query(`DROP DATABASE IF EXISTS ${nameIn(address)} WITH (FORCE)`);
    await admin.query("CHECKPOINT");
  });
}

export async function onDatabase<T>(
  address: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ connectionString: address });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function onServerOf<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  return onDatabase(databaseAt(address, "postgres"), work);
}

function nameIn(address: string): string {
  return new URL(address).pathname.slice(1);
}
