import type { Chance } from "../../src/testing/chance.ts";
import type { Traced } from "./trace.ts";

/**
 * What becomes of the writes that were not synced when the power went:
 *
 * - `none`, `all` of them got to the disk;
 * - `half`: each or not, by share, whatever their order was;
 * - `torn`: each sector of each of them or not, by share;
 * - `length`: the files have their new lengths, and zeros where the new bytes should be;
 * - `mixed`: one of these for each file by itself.
 */
export type Fate = (typeof fates)[number];
const plainFates = ["none", "all", "half", "torn", "length"] as const;
export const fates = [...plainFates, "mixed"] as const;

/** The files of a folder as they may be found after the power came back, by their names. */
export type Image = ReadonlyMap<string, Buffer>;

/** One folder, with what is on the disk for certain and what may be. */
export interface Disk {
  /** A file that was there before, whole. */
  hold(name: string, content: Buffer): void;
  apply(traced: Traced): void;
  /** How many changes, of data and of names, may be lost now. */
  unsynced(): number;
  /** Good until the next one is asked for. */
  image(fate: Fate, chance: Chance): Image;
}

const empty = Buffer.alloc(0);

/** Written whole or not at all. */
const sectorBytes = 512;

interface Change {
  readonly at: number;
  /** A truncation has none. */
  readonly data: Buffer | null;
  readonly ended: number;
  state: "unsynced" | "synced" | "doomed";
}

interface File {
  /** What is on the disk for certain, before any of the changes. */
  base: Buffer;
  size: number;
  changes: Change[];
  /** Where images of it are put together, one after the other: a new one for each is mostly garbage to collect. */
  scratch: Buffer;
}

/** A name that was given or taken, and that a folder sync makes certain. */
interface Naming {
  readonly name: string;
  readonly file: File | null;
  readonly ended: number;
}

/**
 * Rules, all of them harsher than most file systems: a name is on the disk once the folder was synced
 * after it; data once its file was synced after it; a sync covers what ended before it began; and after
 * a sync that failed, what it should have covered is never certain again, though later ones succeed
 * (as Linux does it: the pages count as clean, and nobody writes them).
 */
export function emptyDisk(): Disk {
  /** As the process sees it. */
  const names = new Map<string, File>();
  const certain = new Map<string, File>();
  let namings: Naming[] = [];

  function named(name: string): File {
    const file = names.get(name);
    if (file === undefined) throw new Error(`"${name}" is written and was never made.`);
    return file;
  }

  function sync(name: string, began: number, failed: boolean): void {
    if (name !== "") {
      const file = named(name);
      for (const change of file.changes) {
        if (change.ended >= began || change.state !== "unsynced") continue;
        change.state = failed ? "doomed" : "synced";
      }
      settle(file);
      return;
    }
    if (failed) return;
    for (const naming of namings) {
      if (naming.ended >= began) continue;
      if (naming.file === null) certain.delete(naming.name);
      else certain.set(naming.name, naming.file);
    }
    namings = namings.filter((naming) => naming.ended >= began);
  }

  return {
    hold(name, content) {
      const file: File = { base: content, size: content.length, changes: [], scratch: empty };
      names.set(name, file);
      certain.set(name, file);
    },
    apply(traced) {
      switch (traced.does) {
        case "create": {
          if (names.has(traced.file)) return;
          const file: File = { base: empty, size: 0, changes: [], scratch: empty };
          names.set(traced.file, file);
          namings.push({ name: traced.file, file, ended: traced.ended });
          return;
        }
        case "unlink":
          names.delete(traced.file);
          namings.push({ name: traced.file, file: null, ended: traced.ended });
          return;
        case "write":
        case "truncate": {
          const isWrite = traced.does === "write";
          named(traced.file).changes.push({
            at: isWrite ? traced.at : traced.size,
            data: isWrite ? traced.data : null,
            ended: traced.ended,
            state: "unsynced",
          });
          return;
        }
        case "sync":
          sync(traced.file, traced.began, traced.failed);
          return;
        case "say":
      }
    },
    unsynced() {
      const files = new Set([...names.values(), ...certain.values()]);
      let count = namings.length;
      for (const { changes } of files) {
        for (const { state } of changes) if (state !== "synced") count += 1;
      }
      return count;
    },
    image(fate, chance) {
      const found = new Map(certain);
      // Of what happened to one name, a part from the beginning; of different names, any.
      const kept = new Map<string, number>();
      for (const { name, file } of namings) {
        const share = kept.get(name) ?? (fate === "none" ? 0 : fate === "all" ? 1 : chance.unit());
        kept.set(name, share);
        if (share < 1 && chance.unit() >= share) kept.set(name, 0);
        else if (file === null) found.delete(name);
        else found.set(name, file);
      }
      const image = new Map<string, Buffer>();
      for (const [name, file] of found) {
        const own = fate === "mixed" ? chance.pick(plainFates) : fate;
        image.set(name, contentOf(file, own, chance));
      }
      return image;
    },
  };
}

/** Takes what is certain into the base, as far as nothing uncertain lies before it. */
function settle(file: File): void {
  const uncertain = file.changes.findIndex((change) => change.state !== "synced");
  const certain = uncertain < 0 ? file.changes : file.changes.slice(0, uncertain);
  for (const change of certain) put(file, change);
  file.changes = uncertain < 0 ? [] : file.changes.slice(uncertain);
}

type Content = Pick<File, "base" | "size">;

function put(content: Content, { at, data }: Pick<Change, "at" | "data">): void {
  if (data === null) {
    resize(content, at);
    return;
  }
  if (content.size < at + data.length) resize(content, at + data.length);
  data.copy(content.base, at);
}

function resize(content: Content, size: number): void {
  if (size > content.base.length) {
    const grown = Buffer.alloc(Math.max(size, content.base.length * 2));
    content.base.copy(grown, 0, 0, content.size);
    content.base = grown;
  }
  // What is cut off comes back as zeros, should the file grow again.
  if (size < content.size) content.base.fill(0, size, content.size);
  content.size = size;
}

function contentOf(file: File, fate: Exclude<Fate, "mixed">, chance: Chance): Buffer {
  const end = file.changes.reduce(
    (most, { at, data }) => Math.max(most, at + (data?.length ?? 0)),
    0,
  );
  const most = Math.max(file.size, end);
  if (file.scratch.length < most) file.scratch = Buffer.alloc(2 * most);
  file.base.copy(file.scratch, 0, 0, file.size);
  file.scratch.fill(0, file.size, most);
  const content: Content = { base: file.scratch, size: file.size };
  for (const change of file.changes) {
    const own = change.state === "synced" ? "all" : fate;
    if (own === "all" || (own === "half" && chance.happens(0.5))) put(content, change);
    if (own === "torn") tear(content, change, chance);
    if (own === "length" && change.data !== null && content.size < change.at + change.data.length) {
      resize(content, change.at + change.data.length);
    }
  }
  return content.base.subarray(0, content.size);
}

function tear(content: Content, change: Change, chance: Chance): void {
  if (change.data === null) {
    if (chance.happens(0.5)) put(content, change);
    return;
  }
  const end = change.at + change.data.length;
  for (let at = change.at; at < end; ) {
    const next = Math.min(end, at + sectorBytes - (at % sectorBytes));
    const data = change.data.subarray(at - change.at, next - change.at);
    if (chance.happens(0.5)) put(content, { at, data });
    at = next;
  }
}
