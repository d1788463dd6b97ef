import { harmedBy, withCopies } from "./copies.ts";

/** Shows what one seed does to a copy of the store, and who finds it: `npx node proof/damage/show.ts SEED`. */
const seed = Number(process.argv[2]);
const { kind, harmed, damage, answer, passesSqlite } = await withCopies((copies) =>
  harmedBy(copies, seed),
);
console.log(`${kind.name}: ${harmed.what}`);
console.log("plain SQLite reads:", damage);
console.log(`SQLite alone finds ${passesSqlite ? "nothing" : "something"} wrong`);
console.log("the guard:", answer);
