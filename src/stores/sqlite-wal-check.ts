import { closeSync, openSync, readSync, statSync } from "node:fs";
import { endianness } from "node:os";

/**
 * Commits that stand in the WAL and that SQLite leaves out, in a sentence; undefined: none is known.
 *
 * Reading a WAL, SQLite stops at the first frame that doesn't fit its checksum, and takes what comes
 * after it for the rest of a write that power loss cut off. After a flipped bit in the middle, that is
 * every commit since, all of them acknowledged. Only one transaction can be cut off: none is written
 * before the last one is on disk (`synchronous=FULL`). So two behind the gap, the second written on
 * top of the first, were not cut off: they are lost.
 *
 * Damage to the last transaction alone looks like a write that was cut off, and can't be told from it.
 */
export function lostCommits(path: string): string | undefined {
  // A neighbour may write while this reads: a gap that is one is there at the second look, too.
  const first = lookAt(`${path}-wal`);
  const second = first === undefined ? undefined : lookAt(`${path}-wal`);
  if (first === undefined || first !== second) return undefined;
  const where = first === 0 ? "its header" : `frame ${first}`;
  return `The WAL is damaged in ${where}: commits that stand behind it are left out, unless they were written back before.`;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
/** Of every database that the store has made. */
const usualPageBytes = 4_096;

/**
 * The first frame that doesn't fit (counted from 1; 0: the header), where commits stand behind it.
 * Never opens the database itself: closing it again would drop the locks that this process holds on it.
 */
function lookAt(path: string): number | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= headerBytes) return undefined;
  const file = openSync(path, "r");
  try {
    const header = headerOf(bytesOf(file, 0, headerBytes));
    const frames = () => framesOf(file, size, header);
    if (header.isWhole) return gapIn(frames(), header, undefined);
    // Power loss leaves no half of so few bytes, and a header is on disk before its first frame.
    return gapIn(frames(), { salt: saltOf(frames()), sum: undefined }, 0);
  } finally {
    closeSync(file);
  }
}

interface Sum {
  readonly first: number;
  readonly second: number;
}

interface Header {
  readonly isWhole: boolean;
  readonly isBig: boolean;
  readonly pageBytes: number;
  readonly salt: bigint;
  readonly sum: Sum;
}

interface Frame {
  /** Counted from 1. */
  readonly index: number;
  /** Whether a transaction ends with it. */
  readonly commits: boolean;
  readonly salt: bigint;
  /** As it stands in the frame. */
  readonly sum: Sum;
  /** Whether it was written on top of a frame with this sum. */
  readonly follows: (sum: Sum) => boolean;
}

/**
 * @param start what the first frame must be, and be written on; a sum that is undefined is not known
 * @param found a gap that is there before the first frame
 */
function gapIn(
  frames: Iterable<Frame>,
  start: { readonly salt: bigint | undefined; readonly sum: Sum | undefined },
  found: number | undefined,
): number | undefined {
  let gap = found;
  let last = start.sum;
  for (const frame of frames) {
    const isOurs = frame.salt === start.salt;
    if (last !== undefined && isOurs && frame.follows(last)) {
      last = frame.sum;
      if (gap !== undefined && frame.commits) return gap;
      continue;
    }
    gap ??= frame.index;
    // Behind a gap, the next thing that was certainly whole is what ends with a commit.
    last = isOurs && frame.commits ? frame.sum : undefined;
  }
  return undefined;
}

/** The salt of the frames at the front, where it is not told; the first one may be damaged with the header. */
function saltOf(frames: Iterable<Frame>): bigint | undefined {
  const salts: bigint[] = [];
  for (const { salt } of frames) if (salts.push(salt) === 3) break;
  const [first, second, third] = salts;
  if (first === undefined || second === undefined || first === second) return first;
  // Each time it is begun anew, its first half grows by one: the rest is of the time before.
  const isBegunAnew = first >> 32n === (second >> 32n) + 1n;
  return second === third && !isBegunAnew ? second : first;
}

const magic = 0x377f0682;
const version = 3_007_000;

function headerOf(bytes: Buffer): Header {
  const word = (at: number) => bytes.readUInt32BE(at);
  const isBig = word(0) === magic + 1;
  const sum = { first: word(24), second: word(28) };
  const isKnown = (isBig || word(0) === magic) && word(4) === version;
  const isWhole = isKnown && same(added({ first: 0, second: 0 }, bytes, 0, 24, isBig), sum);
  const salt = bytes.readBigUInt64BE(16);
  return isWhole
    ? { isWhole, isBig, pageBytes: word(8), salt, sum }
    : { isWhole, isBig: endianness() === "BE", pageBytes: usualPageBytes, salt, sum };
}

function* framesOf(
  file: number,
  size: number,
  { pageBytes, isBig }: Header,
): Generator<Frame, void, void> {
  const frameBytes = frameHeaderBytes + pageBytes;
  for (let index = 1; headerBytes + index * frameBytes <= size; index += 1) {
    const bytes = bytesOf(file, headerBytes + (index - 1) * frameBytes, frameBytes);
    if (bytes.length < frameBytes) return;
    const sum = { first: bytes.readUInt32BE(16), second: bytes.readUInt32BE(20) };
    yield {
      index,
      commits: bytes.readUInt32BE(4) !== 0,
      salt: bytes.readBigUInt64BE(8),
      sum,
      follows: (last) => {
        const head = added(last, bytes, 0, 8, isBig);
        return same(added(head, bytes, frameHeaderBytes, frameBytes, isBig), sum);
      },
    };
  }
}

/** SQLite's checksum over the bytes from one place to another, eight at a time. */
function added(sum: Sum, bytes: Buffer, from: number, to: number, isBig: boolean): Sum {
  let { first, second } = sum;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = from; at < to; at += 8) {
    first = (first + view.getUint32(at, !isBig) + second) >>> 0;
    second = (second + view.getUint32(at + 4, !isBig) + first) >>> 0;
  }
  return { first, second };
}

function same(left: Sum, right: Sum): boolean {
  return left.first === right.first && left.second === right.second;
}

/** As many as there are. */
function bytesOf(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, at));
}
