type Sqlite = typeof import("node:sqlite");

let loaded: Sqlite | undefined;

/**
 * Node's own SQLite. Node 22 announces it as experimental on the terminal at its first load; that one
 * warning is kept back, since a user of the guard can do nothing about it. All others pass.
 */
export function loadSqlite(): Sqlite {
  if (loaded !== undefined) return loaded;
  const { emitWarning } = process;
  process.emitWarning = ((warning: unknown, ...rest: unknown[]) => {
    const [type] = rest;
    const isOurs = type === "ExperimentalWarning" && String(warning).startsWith("SQLite");
    if (!isOurs) Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
  try {
    loaded = process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
  return loaded;
}
