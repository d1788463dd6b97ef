import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { chanceOf } from "../../src/testing/chance.ts";
import { inScratchFolder } from "../folder.ts";
import { kinds, type Scratch } from "./harm.ts";
import { type Judged, judge } from "./judge.ts";
import { makeSamples, type Samples } from "./sample.ts";
import { type Knowledge, knowledgeOf } from "./told.ts";

/** The sound samples, and a place for one harmed copy at a time. */
export interface Copies {
  readonly samples: Samples;
  readonly known: Knowledge;
  readonly path: string;
  readonly scratch: Scratch;
}

export function withCopies<T>(work: (copies: Copies) => Promise<T>): Promise<T> {
  return inScratchFolder(async (folder) => {
    const samples = await makeSamples(folder);
    return work({
      samples,
      known: knowledgeOf(samples.closed.dump),
      path: join(folder, "copy.db"),
      scratch: (sample, harm) => scratched(join(folder, "scratch.db"), sample.main, harm),
    });
  });
}

function scratched(path: string, bytes: Buffer, harm: (db: DatabaseSync) => void): Buffer {
  writeFileSync(path, bytes);
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    harm(db);
    // As the store leaves it.
    db.exec("PRAGMA journal_mode = WAL");
  } finally {
    db.close();
  }
  return readFileSync(path);
}

/** One copy, one damage: all of it decided by the seed. */
export function harmedBy(copies: Copies, seed: number): Promise<Judged> {
  const kind = kinds[seed % kinds.length] as (typeof kinds)[number];
  const harmed = kind.harm(copies.samples, chanceOf("damage", seed), copies.scratch);
  return judge(kind, harmed, copies.known, copies.path);
}
