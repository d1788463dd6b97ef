import { expect, test } from "vitest";
import { readTrace } from "../../proof/power-loss/trace.ts";

const hex = (text: string) =>
  [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
const file = (name: string, descriptor = 5) => `${descriptor}<${hex(`/data/${name}`)}>`;
const folder = `7<${hex("/data")}>`;
const read = (...lines: string[]) => readTrace(Buffer.from(`${lines.join("\n")}\n`), "/data");

test("a write has its file, its place and its bytes", () => {
  const [write] = read(`10 pwrite64(${file("a.db")}, "${hex("hello")}", 5, 4096) = 5`);
  expect(write).toMatchObject({ does: "write", file: "a.db", at: 4096, began: 1, ended: 1 });
  expect(write?.does === "write" && write.data.toString()).toBe("hello");
});

test("of a short write, what was written counts; of a failed one, nothing", () => {
  const traced = read(
    `10 pwrite64(${file("a.db")}, "${hex("hello")}", 5, 0) = 2`,
    `10 pwrite64(${file("a.db")}, "${hex("hello")}", 5, 0) = -1 ENOSPC (No space left on device)`,
    `10 ftruncate(${file("a.db")}, 9) = -1 EIO (Input/output error) (INJECTED)`,
  );
  expect(traced).toHaveLength(1);
  expect(traced[0]?.does === "write" && traced[0].data.toString()).toBe("he");
});

test("a call that another thread interrupts lasts from its first line to its second", () => {
  const traced = read(
    `10 pwrite64(${file("a.db")}, "${hex("x")}", 1, 0 <unfinished ...>`,
    `11 fsync(${file("a.db", 6)} <unfinished ...>`,
    "10 <... pwrite64 resumed>)             = 1",
    "11 <... fsync resumed>)                = 0",
  );
  expect(traced).toMatchObject([
    { does: "write", began: 1, ended: 3 },
    { does: "sync", file: "a.db", failed: false, began: 2, ended: 4 },
  ]);
});

test("a process that was killed in a write may have written; in a sync, it has not synced", () => {
  const traced = read(
    `10 pwrite64(${file("a.db")}, "${hex("x")}", 1, 0) = ?`,
    `10 pwrite64(${file("a.db")}, "${hex("y")}", 1, 1 <unfinished ...>`,
    `11 fsync(${file("a.db", 6)} <unfinished ...>`,
    "10 +++ killed by SIGKILL +++",
  );
  const infinite = { does: "write", ended: Number.POSITIVE_INFINITY };
  expect(traced).toMatchObject([infinite, infinite]);
});

test("syncs, also of the folder and failed ones, and files that come and go", () => {
  const flags = "O_RDWR|O_CREAT|O_CLOEXEC, 0600";
  const traced = read(
    `10 openat(AT_FDCWD<${hex("/")}>, "${hex("/data/a.db")}", ${flags}) = ${file("a.db")}`,
    `10 openat(AT_FDCWD<${hex("/")}>, "${hex("/data/b.db")}", ${flags}) = -1 EACCES (Permission denied)`,
    `10 fsync(${folder}) = 0`,
    `10 fdatasync(${file("a.db")}) = -1 EIO (Input/output error) (INJECTED)`,
    `10 unlink("${hex("/data/a.db")}") = 0`,
  );
  expect(traced).toMatchObject([
    { does: "create", file: "a.db" },
    { does: "sync", file: "", failed: false },
    { does: "sync", file: "a.db", failed: true },
    { does: "unlink", file: "a.db" },
  ]);
});

test("what a process says is told apart from what it writes elsewhere; shared memory is not a file", () => {
  const traced = read(
    `10 write(1<${hex("/dev/null")}>, "${hex('{"said":1}\n')}", 11) = 11`,
    `10 write(8<${hex("anon_inode:[eventfd]")}>, "${hex("1234")}", 8) = 8`,
    `10 pwrite64(${file("a.db-shm")}, "${hex("x")}", 1, 4095) = 1`,
    `10 openat(AT_FDCWD<${hex("/")}>, "${hex("/elsewhere/x")}", O_RDWR|O_CREAT) = 9<${hex("/elsewhere/x")}>`,
  );
  expect(traced).toMatchObject([{ does: "say", text: '{"said":1}' }]);
});

test.each([
  ["another way to write", `10 pwritev(${file("a.db")}, [{iov_base="${hex("x")}"}], 1, 0) = 1`],
  ["an append", `10 write(${file("a.db")}, "${hex("x")}", 1) = 1`],
  ["a new name", `10 rename("${hex("/data/a.db")}", "${hex("/data/b.db")}") = 0`],
  ["space set aside", `10 fallocate(${file("a.db")}, 0, 0, 4096) = 0`],
])("refuses what it doesn't know: %s", (_, line) => {
  expect(() => read(line)).toThrow("not modelled");
});

test("refuses a log that lacks bytes", () => {
  const line = `10 pwrite64(${file("a.db")}, "${hex("hel")}"..., 5, 0) = 5`;
  expect(() => read(line)).toThrow("lacks bytes");
});
