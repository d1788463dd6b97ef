// In your project: from "safeagent"

import assert from "node:assert/strict";
import { createGuard, threshold } from "../../src/index.ts";

// Three to five agents vote. At 80 % the case is final and runs; below that it waits for a person.
const guard = createGuard({ store: "memory:" });
const random = fromSeed(183);
const published: number[] = [];

for (let round = 1; round <= 6; round += 1) {
  const agents = 3 + Math.floor(random() * 3);
  const story = guard.case(`story:${round}`, {
    outcomes: ["YES", "NO"],
    policy: threshold({ share: 0.8, quorum: agents }),
    allow: ["YES"],
  });

  const votes: string[] = [];
  for (let agent = 1; agent <= agents; agent += 1) {
    const outcome = random() < 0.8 ? "YES" : "NO";
    votes.push(outcome);
    await story.signal({ source: `agent-${agent}`, outcome });
  }

  const outcome = await story.settle({
    requestId: `publish:${round}`,
    action: "publish",
    payload: { round },
    run: () => void published.push(round),
  });

  const yes = votes.filter((one) => one === "YES").length;
  const state = outcome.status === "settled" ? "SETTLED" : outcome.case.state;
  console.log(`round ${round}  ${yes} of ${agents} YES  ${state}`);
  assert.equal(outcome.status === "settled", yes / agents >= 0.8);
  if (outcome.status !== "settled") assert.equal(state, "IN_RECONCILIATION");
}

assert(published.length > 0 && published.length < 6, "the seed shows both ends");
console.log(`published rounds  ${published.join(", ")}`);

await guard.close();

/** The same numbers on every run (mulberry32). */
function fromSeed(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
