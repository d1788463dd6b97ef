import { describe, expect, test } from "vitest";
import { type Disk, emptyDisk, type Fate } from "../../proof/power-loss/disk.ts";
import { chanceOf } from "../../src/testing/chance.ts";

/** A disk whose calls each take one line, one after the other. */
function scripted() {
  const disk = emptyDisk();
  let line = 0;
  const span = () => {
    line += 1;
    return { began: line, ended: line };
  };
  return {
    disk,
    create: (file: string) => disk.apply({ does: "create", file, ...span() }),
    unlink: (file: string) => disk.apply({ does: "unlink", file, ...span() }),
    write: (file: string, at: number, text: string) =>
      disk.apply({ does: "write", file, at, data: Buffer.from(text), ...span() }),
    truncate: (file: string, size: number) =>
      disk.apply({ does: "truncate", file, size, ...span() }),
    sync: (file: string, failed = false) => disk.apply({ does: "sync", file, failed, ...span() }),
    syncFolder: (failed = false) => disk.apply({ does: "sync", file: "", failed, ...span() }),
  };
}

/** One file "a" that is on the disk with a text. */
function diskWith(text: string) {
  const script = scripted();
  script.create("a");
  script.write("a", 0, text);
  script.sync("a");
  script.syncFolder();
  return script;
}

const seeds = Array.from({ length: 200 }, (_, seed) => seed);
const one = (disk: Disk, fate: Fate, seed = 1) =>
  disk.image(fate, chanceOf(seed)).get("a")?.toString();
/** All that may be found, over many throws of the chance. */
const found = (disk: Disk, fate: Fate) =>
  new Set(seeds.map((seed) => one(disk, fate, seed) ?? "no file"));

describe("data", () => {
  test("what was synced is there whatever becomes of the rest", () => {
    const { disk } = diskWith("kept");
    for (const fate of ["none", "all", "half", "torn", "length", "mixed"] as const) {
      expect(found(disk, fate)).toEqual(new Set(["kept"]));
    }
    expect(disk.unsynced()).toBe(0);
  });

  test("what was not synced is lost, or there, or both by chance and in any order", () => {
    const { disk, write } = diskWith("0000");
    write("a", 0, "1");
    write("a", 2, "2");
    expect(disk.unsynced()).toBe(2);
    expect(one(disk, "none")).toBe("0000");
    expect(one(disk, "all")).toBe("1020");
    expect(found(disk, "half")).toEqual(new Set(["0000", "1000", "0020", "1020"]));
  });

  test("a torn write has whole sectors of the old and of the new", () => {
    const { disk, write } = diskWith("0".repeat(1_536));
    write("a", 0, "1".repeat(1_536));
    const sectors = [...found(disk, "torn")].map((text) => text.match(/.{512}/g)?.join(" "));
    expect(sectors).toHaveLength(8);
    for (const text of sectors) expect(text).toMatch(/^(0{512}|1{512})( (0{512}|1{512})){2}$/);
  });

  test("a new length may be there without what fills it, and a truncation may be missing", () => {
    const { disk, write, truncate } = diskWith("0000");
    write("a", 2, "1111");
    expect(one(disk, "length")).toBe("0000\0\0");
    truncate("a", 1);
    expect(one(disk, "all")).toBe("0");
    expect(found(disk, "half")).toEqual(new Set(["0000", "0", "001111"]));
  });

  test("a sync covers what had ended before it began", () => {
    const { disk } = diskWith("0000");
    const text = (at: number, data: string, began: number, ended: number) =>
      disk.apply({ does: "write", file: "a", at, data: Buffer.from(data), began, ended });
    text(0, "1", 11, 12);
    text(1, "2", 13, 15);
    disk.apply({ does: "sync", file: "a", failed: false, began: 14, ended: 16 });
    expect(one(disk, "none")).toBe("1000");
    expect(one(disk, "all")).toBe("1200");
  });
});

describe("a sync that failed", () => {
  test("what it should have covered is not made certain by the next one", () => {
    const { disk, write, sync } = diskWith("0000");
    write("a", 0, "1");
    sync("a", true);
    write("a", 1, "2");
    sync("a");
    expect(found(disk, "half")).toEqual(new Set(["0200", "1200"]));
  });

  test("it is certain once it is written anew, and the old one never comes back over it", () => {
    const { disk, write, sync } = diskWith("0000");
    write("a", 0, "1");
    sync("a", true);
    write("a", 0, "3");
    sync("a");
    expect(found(disk, "half")).toEqual(new Set(["3000"]));
  });

  test("of the folder: the name stays uncertain until one succeeds", () => {
    const { disk, create, sync, syncFolder } = scripted();
    create("a");
    sync("a");
    syncFolder(true);
    expect(one(disk, "none")).toBeUndefined();
    syncFolder();
    expect(one(disk, "none")).toBe("");
  });
});

describe("names", () => {
  test("a file whose folder was not synced may be gone with all its data", () => {
    const { disk, create, write, sync } = scripted();
    create("a");
    write("a", 0, "kept");
    sync("a");
    expect(found(disk, "half")).toEqual(new Set(["no file", "kept"]));
  });

  test("a deleted file may come back; the one made in its place is another file", () => {
    const { disk, unlink, create, write, sync, syncFolder } = diskWith("old");
    unlink("a");
    create("a");
    write("a", 0, "new");
    sync("a");
    expect(one(disk, "none")).toBe("old");
    expect(found(disk, "half")).toEqual(new Set(["old", "no file", "new"]));
    syncFolder();
    expect(found(disk, "half")).toEqual(new Set(["new"]));
  });

  test("opening a file that is there makes none", () => {
    const { disk, create } = diskWith("kept");
    create("a");
    expect(disk.unsynced()).toBe(0);
    expect(one(disk, "none")).toBe("kept");
  });

  test("a write to a file that was never made is an error of the log", () => {
    const { write } = scripted();
    expect(() => write("a", 0, "x")).toThrow("never made");
  });
});
