/** Calls that may be open at a time, at their clients or at a server that never answers. */
export const openCalls = 1_000;

/** Bytes of all their frames. What is kept beside them is a few times as much. */
export const openBytes = 134_217_728;

/** Holds back what a server that doesn't answer would let grow without end. */
export interface Room {
  /** Takes room for a call, and says how it is given back; undefined where there is none. */
  take(bytes: number): (() => void) | undefined;
}

export function createRoom(calls: number = openCalls, bytesMost: number = openBytes): Room {
  let open = 0;
  let held = 0;
  return {
    take(bytes) {
      // However large, one call alone has room.
      if (open >= calls || (open > 0 && held + bytes > bytesMost)) return undefined;
      open += 1;
      held += bytes;
      return () => {
        open -= 1;
        held -= bytes;
      };
    },
  };
}
