import type { CaseId, RequestId } from "../core/identity.ts";
import { manual } from "../core/policy.ts";
import type { Step, Store } from "../core/store.ts";
import type { Law } from "./law.ts";
import { ensure, same } from "./law-check.ts";
import { claim, open, renew, type Story, settle, story } from "./store-cases.ts";

/** What a store must do with a commit. */
export const writingLaws: readonly Law[] = [
  {
    heading: "creates only what is absent",
    name: "a second creation is false and leaves no trace",
    async run({ open: opened }) {
      const store = await opened();
      const first = story("a", [claim()], { by: "first" });
      const second = story("a", [claim()], { by: "second", bind: "other" });
      same(await commitAll(store, first), true, "a case that is absent is created");
      same(await store.commit(second.steps), false, "a case that exists is not created again");
      await unchanged(store, first, "other");
    },
  },
  {
    heading: "creates only what is absent",
    name: "an id of another namespace is another case",
    async run({ open: opened }) {
      const store = await opened();
      const here = story("a", [claim()], { namespace: "here" });
      const there = story("a", [claim()], { namespace: "there", by: "else" });
      same(await commitAll(store, here), true, "the first is created");
      same(await commitAll(store, there), true, "one of the same name elsewhere is created too");
      await unchanged(store, here);
      await unchanged(store, there);
    },
  },
  {
    heading: "advances only from `expected`",
    name: "an older, a newer and an absent version are false and leave no trace",
    async run({ open: opened }) {
      const store = await opened();
      const whole = story("a", [claim(), renew(1), settle(1)]);
      const [create, renewal, settlement] = whole.steps as [Step, Step, Step];
      same(await store.commit([renewal]), false, "an absent case does not advance");
      same(await store.commit([create]), true, "it is created");
      same(
        await store.commit([settlement]),
        false,
        "a version that is not there yet is not skipped to",
      );
      await unchanged(store, { ...whole, steps: [create] });
      same(await store.commit([renewal]), true, "it advances from its version");
      same(await store.commit([renewal]), false, "it does not advance from it twice");
      same(await store.commit([settlement]), true, "it advances again");
      const late = story("a", [claim(), renew(1), settle(2)], { by: "late" }).steps[2] as Step;
      same(await store.commit([late]), false, "it does not go back");
      await unchanged(store, whole);
    },
  },
  {
    heading: "of N racing commits exactly one is true",
    name: "creations of one case",
    async run(world) {
      const store = await world.open();
      const others = [store, await world.another(store), await world.another(store)];
      for (let round = 0; round < 20; round += 1) {
        const tries = Array.from({ length: 24 }, (_, index) =>
          story(`case-${round}`, [claim()], { by: `runner-${index}` }),
        );
        await oneWins(others, tries, (tried) => tried.steps);
      }
    },
  },
  {
    heading: "of N racing commits exactly one is true",
    name: "steps from one version",
    async run(world) {
      const store = await world.open();
      const others = [store, await world.another(store), await world.another(store)];
      for (let round = 0; round < 20; round += 1) {
        same(await store.commit(story(`c-${round}`, [claim()]).steps), true, "it is created");
        const tries = Array.from({ length: 24 }, (_, index) =>
          story(`c-${round}`, [claim(), settle(index)]),
        );
        await oneWins(others, tries, (tried) => tried.steps.slice(1));
      }
    },
  },
  {
    heading: "of N racing commits exactly one is true",
    name: "each of many commits of one moment gets its own answer",
    async run(world) {
      const store = await world.open();
      const tries = Array.from({ length: 400 }, (_, index) =>
        story(`case-${index % 200}`, [claim()], { by: `try-${index}` }),
      );
      const answers = await Promise.all(tries.map((tried) => store.commit(tried.steps)));
      for (let index = 0; index < 200; index += 1) {
        const pair = [answers[index], answers[index + 200]];
        same(pair.filter(Boolean).length, 1, `exactly one of a pair is true (${pair.join()})`);
        const winner = tries[pair[0] === true ? index : index + 200] as Story;
        await unchanged(store, winner);
      }
    },
  },
  {
    heading: "several steps land together or not at all",
    name: "together",
    async run({ open: opened }) {
      const store = await opened();
      const [a, b] = [story("a", [claim()]), story("b", [open(manual())])];
      same(await store.commit([...a.steps, ...b.steps]), true, "both are created");
      await unchanged(store, a);
      await unchanged(store, b);
    },
  },
  {
    heading: "several steps land together or not at all",
    name: "not at all, whichever of them is refused and whatever surrounds them",
    async run({ open: opened }) {
      const store = await opened();
      const standing = story("standing", [claim()]);
      await store.commit(standing.steps);
      const fresh = (id: string, bind?: string) =>
        story(id, [claim()], bind === undefined ? {} : { bind }).steps;
      const standsAlready = story("standing", [claim()], { by: "else", bind: null }).steps;
      const taken = fresh("y", "standing");
      const groups: readonly (readonly Step[])[] = [
        [...fresh("a", "req-a"), ...standsAlready],
        [...standsAlready, ...fresh("a", "req-a")],
        [...fresh("a"), ...taken],
        [...fresh("a", "one-name"), ...fresh("b", "one-name")],
        [...fresh("a", "b"), ...fresh("b")],
        [...fresh("b"), ...fresh("a", "b")],
      ];
      const around = Array.from({ length: 40 }, (_, index) => story(`near-${index}`, [claim()]));
      for (const group of groups) {
        const answer = store.commit(group);
        same(await answer, false, "a commit with a step that is refused is false");
      }
      const mixed = around.flatMap((near, index) => [
        store.commit(near.steps),
        store.commit(groups[index % groups.length] ?? []),
      ]);
      const answers = await Promise.all(mixed);
      ensure(
        answers.every((answer, index) => answer === (index % 2 === 0)),
        "each commit of a crowd is answered by itself",
      );
      for (const id of ["a", "b", "y"]) same(await exists(store, id), false, `${id} never landed`);
      for (const bind of ["req-a", "one-name", "b"]) {
        const { bound } = await readRequest(store, bind);
        same(bound, null, `nothing was bound to ${bind}`);
      }
      await unchanged(store, standing);
      same((await store.journal({ namespace: "default", after: 0 })).length, 41, "no entry landed");
    },
  },
  {
    heading: "a request id binds once",
    name: "to the first case, for good",
    async run({ open: opened }) {
      const store = await opened();
      const a = story("a", [claim(), settle(1)], { bind: "req" });
      const b = story("b", [claim()], { bind: "req" });
      same(await commitAll(store, a), true, "a request id that is free is bound");
      same(await store.commit(b.steps), false, "it is not bound to a second case");
      same(await exists(store, "b"), false, "the second case is not there");
      const again = nextStep(a, "req");
      same(await store.commit([again]), true, "binding it again to its case is fine");
      same((await readRequest(store, "req")).bound, "a", "it leads to its case");
      const { stored } = await readRequest(store, "req");
      same(stored?.case, again.next, "and the case is found by it");
      const elsewhere = story("b", [claim()], { bind: "req", namespace: "other" });
      same(await store.commit(elsewhere.steps), true, "another namespace has its own request ids");
    },
  },
  {
    heading: "a request id binds once",
    name: "also where it is the name of a case, in either order",
    async run({ open: opened }) {
      const store = await opened();
      same(await commitAll(store, story("y", [claim()], { bind: "r" })), true, "r is bound to y");
      const own = story("r", [claim()]);
      same(await store.commit(own.steps), false, "a case r can't be created by request r");
      same((await readRequest(store, "r")).bound, "y", "r still leads to y");
      const unbound = story("r", [claim()], { bind: null });
      same(await commitAll(store, unbound), true, "a case r can be created by another request");
      same(await store.commit([nextStep(unbound, "r")]), false, "and can't take r over later");
      same(await store.commit([nextStep(unbound, "r2")]), true, "but may be bound to another");

      same(await commitAll(store, story("q", [claim()])), true, "q is created by request q");
      same((await readRequest(store, "q")).bound, "q", "q leads to q");
      same(await store.commit(story("z", [claim()], { bind: "q" }).steps), false, "q is taken");
      const z = story("z", [claim()]);
      same(await commitAll(store, z), true, "z is free");
      same(await store.commit([nextStep(z, "q")]), false, "q is taken later, too");
      same(await store.commit([nextStep(z, "z")]), true, "its own name again is fine");
      const { stored, bound } = await store.read({
        namespace: "default",
        caseId: "z" as CaseId,
        requestId: "q" as RequestId,
      });
      same([stored?.case.caseId, bound], ["z", "q"], "a case and a foreign request are told apart");
    },
  },
  {
    heading: "a request id binds once",
    name: "when cases race for it",
    async run(world) {
      const store = await world.open();
      const others = [store, await world.another(store), await world.another(store)];
      for (let round = 0; round < 20; round += 1) {
        const tries = Array.from({ length: 12 }, (_, index) =>
          // The first is a case of the request's own name.
          story(index === 0 ? `req-${round}` : `case-${round}-${index}`, [claim()], {
            bind: `req-${round}`,
          }),
        );
        const answers = await Promise.all(
          tries.map((tried, index) => at(others, index).commit(tried.steps)),
        );
        same(answers.filter(Boolean).length, 1, "one of the racing cases gets the request id");
        const winner = tries[answers.indexOf(true)] as Story;
        same((await readRequest(store, `req-${round}`)).bound, winner.caseId, "it leads there");
        for (const loser of tries.filter((tried) => tried !== winner)) {
          same(await exists(store, loser.caseId), false, "a loser is not created");
        }
      }
    },
  },
];

/** All steps of a story, one commit each. */
export async function commitAll(store: Store, told: Story): Promise<boolean> {
  for (const step of told.steps) if (!(await store.commit([step]))) return false;
  return true;
}

/** The store holds exactly the end of this story, and its journal. */
export async function unchanged(store: Store, told: Story, unbound?: string): Promise<void> {
  const last = told.steps.at(-1);
  const { namespace, caseId } = told;
  const { stored } = await store.read({ namespace, caseId, requestId: null });
  same(stored?.case, last?.next, "the case is as it was committed");
  same(stored?.head, last?.head, "its head is as it was committed");
  const history = await store.history(namespace, caseId);
  const entries = told.steps.flatMap((step) => (step.entry === null ? [] : [step.entry]));
  same(
    history.map((entry) => entry.text),
    entries,
    "its journal is as it was committed",
  );
  if (unbound === undefined) return;
  same((await readRequest(store, unbound)).bound, null, `${unbound} is bound to nothing`);
}

async function oneWins(
  stores: readonly Store[],
  tries: readonly Story[],
  stepsOf: (tried: Story) => readonly Step[],
): Promise<void> {
  const answers = await Promise.all(
    tries.map((tried, index) => at(stores, index).commit(stepsOf(tried))),
  );
  same(answers.filter(Boolean).length, 1, "exactly one of the racing commits is true");
  for (const store of stores) await unchanged(store, tries[answers.indexOf(true)] as Story);
}

function at<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T;
}

/** One more step at the end of a story: what any later request does. */
function nextStep(told: Story, bind: string): Step {
  const last = told.steps.at(-1) as Step;
  const { version, entries } = last.next;
  const next = { ...last.next, version: version + 1, entries: entries + 1 };
  const entry = JSON.stringify({ asked: bind });
  return { expected: version, next, head: "0".repeat(64), entry, bind: bind as RequestId };
}

async function exists(store: Store, id: string): Promise<boolean> {
  const ids = { namespace: "default", caseId: id as CaseId, requestId: null };
  return (await store.read(ids)).stored !== null;
}

function readRequest(store: Store, id: string) {
  return store.read({ namespace: "default", caseId: null, requestId: id as RequestId });
}
