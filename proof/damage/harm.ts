import type { DatabaseSync } from "node:sqlite";
import type { Chance } from "../../src/testing/chance.ts";
import { change, forge, type RowHarm, remove, swap } from "./row-harm.ts";
import type { Sample, Samples } from "./sample.ts";

/** A store's files after something was done to them, and what that was. */
export interface Harmed {
  readonly sample: Sample;
  readonly main: Buffer;
  readonly wal: Buffer | undefined;
  readonly what: string;
  /** The position of the journal entry whose text was changed, where nothing else was. */
  readonly position: number | undefined;
  /** Whether it takes away what tells the last transaction of a WAL from a write that was cut off. */
  readonly reachesEnd: boolean;
}

/** Lends a database that holds a sample, and gives back what it has become. */
export type Scratch = (sample: Sample, work: (db: DatabaseSync) => void) => Buffer;

/** A kind of damage. */
export interface Kind {
  readonly name: string;
  readonly harm: (samples: Samples, chance: Chance, scratch: Scratch) => Harmed;
}

type ByteHarm = (
  bytes: Buffer,
  chance: Chance,
) => {
  readonly bytes: Buffer;
  readonly what: string;
  /** The first byte that was harmed, and the first after it that was not. */
  readonly from: number;
  readonly to: number;
};

export const kinds: readonly Kind[] = [
  bytes("one bit of the database, no WAL", "closed", "main", oneBit),
  bytes("one bit of the database, beside a WAL", "open", "main", oneBit),
  bytes("one bit of the WAL", "open", "wal", oneBit),
  bytes("one bit of a WAL that was written back", "writtenBack", "wal", oneBit),
  bytes("a sector of noise in the database", "closed", "main", noise),
  bytes("a sector of noise in the WAL", "open", "wal", noise),
  bytes("a page of zeros in the database", "closed", "main", zeros),
  bytes("a page of zeros in the WAL", "open", "wal", zeros),
  bytes("the database cut off, no WAL", "closed", "main", cutOff),
  bytes("the database cut off, beside a WAL", "open", "main", cutOff),
  bytes("the WAL cut off", "open", "wal", cutOff),
  rows("two rows swapped", swap),
  rows("a row deleted", remove),
  rows("a column changed", change),
  rows("a row forged", forge),
];

function bytes(name: string, which: keyof Samples, file: "main" | "wal", harm: ByteHarm): Kind {
  return {
    name,
    harm(samples, chance) {
      const sample = samples[which];
      const { bytes, what, from, to } = harm(Buffer.from(sample[file] ?? ""), chance);
      const { main, wal } = sample;
      const files = file === "main" ? { main: bytes, wal } : { main, wal: bytes };
      // The header of the frame that ends the transaction before tells that there was one.
      const { lastCommitAt, markAt } = sample;
      const hitsMark = from < markAt + frameHeaderBytes && to > markAt;
      const reachesEnd = file === "wal" && (hitsMark || to > lastCommitAt);
      return { sample, ...files, what: `${sample.name}: ${what}`, position: undefined, reachesEnd };
    },
  };
}

function rows(name: string, harm: RowHarm): Kind {
  return {
    name,
    harm({ closed }, chance, scratch) {
      let done: ReturnType<RowHarm> = { what: "", position: undefined };
      const main = scratch(closed, (db) => {
        done = harm(db, chance);
      });
      return { sample: closed, main, wal: undefined, reachesEnd: false, ...done };
    },
  };
}

const sectorBytes = 512;
const pageBytes = 4_096;
const frameHeaderBytes = 24;

function oneBit(bytes: Buffer, chance: Chance) {
  const at = chance.below(bytes.length);
  const bit = chance.below(8);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
  return { bytes, what: `bit ${bit} of byte ${at}`, from: at, to: at + 1 };
}

function noise(bytes: Buffer, chance: Chance) {
  const at = chance.below(Math.floor(bytes.length / sectorBytes)) * sectorBytes;
  for (let index = at; index < at + sectorBytes; index += 1) {
    bytes.writeUInt8(chance.below(256), index);
  }
  return { bytes, what: `noise in the sector at byte ${at}`, from: at, to: at + sectorBytes };
}

function zeros(bytes: Buffer, chance: Chance) {
  const at = chance.below(Math.floor(bytes.length / pageBytes)) * pageBytes;
  const to = at + pageBytes;
  return { bytes: bytes.fill(0, at, to), what: `zeros in the page at byte ${at}`, from: at, to };
}

function cutOff(bytes: Buffer, chance: Chance) {
  const at = chance.below(bytes.length);
  const to = bytes.length;
  return { bytes: bytes.subarray(0, at), what: `cut off at byte ${at}`, from: at, to };
}
