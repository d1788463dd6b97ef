/** Something in the store that is not as the guard wrote it. `what` is the whole sentence, for a person. */
export type Fault =
  /** The first bad entry of a case's journal. */
  | {
      readonly where: "entry";
      readonly caseId: string;
      /** Its place in the case's journal: 1, 2, 3, … */
      readonly sequence: number;
      /** Its place in the feed; null: it isn't there. */
      readonly position: number | null;
      readonly what: string;
    }
  /** A case's record, or what leads to it. */
  | { readonly where: "case"; readonly caseId: string; readonly what: string }
  /** An entry of the feed that can't be laid at any case's door. */
  | { readonly where: "feed"; readonly position: number; readonly what: string }
  /** The store's file or database as a whole, perhaps in another namespace's part. */
  | { readonly where: "store"; readonly what: string };

/** What a check has found so far. */
export interface Faults {
  add(fault: Fault): void;
  /** Whether something is known to be wrong with a case: the first fault of each is told, the rest follows from it. */
  has(caseId: string): boolean;
  /** The first ones, in the order they were found. */
  named(): readonly Fault[];
  count(): number;
}

const namedAtMost = 100;
/** Case ids remembered so that no case is told of twice; past that, a case may be counted again. */
const rememberedAtMost = 10_000;

export function collectFaults(): Faults {
  const named: Fault[] = [];
  const known = new Set<string>();
  let count = 0;

  return {
    add(fault) {
      const [key, ...others] = keysOf(fault);
      if (known.has(key)) return;
      if (known.size < rememberedAtMost) for (const one of [key, ...others]) known.add(one);
      count += 1;
      if (named.length < namedAtMost) named.push(Object.freeze(fault));
    },
    has: (caseId) => known.has(`case ${caseId}`),
    named: () => [...named],
    count: () => count,
  };
}

/** What a fault is told under, and what is then known as well. */
function keysOf(fault: Fault): readonly [string, ...string[]] {
  switch (fault.where) {
    case "entry":
      return [`case ${fault.caseId}`, `position ${fault.position}`];
    case "case":
      return [`case ${fault.caseId}`];
    case "feed":
      return [`position ${fault.position}`];
    case "store":
      return [`store ${fault.what}`];
  }
}
