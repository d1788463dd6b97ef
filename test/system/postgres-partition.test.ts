import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createGuard } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { withServer } from "../postgres/servers/with-server.ts";
import { startSwitch } from "../postgres/switch.ts";

const ground = withServer();

/** A network of two: this machine's own, and one that only leads here. */
const name = `sa${process.pid}`;
const [here, there] = [`${name}a`, `${name}b`];
const [own, other] = ["10.231.77.1", "10.231.77.2"];
const ip = (...args: readonly string[]) => execFileSync("ip", args, { stdio: "pipe" });
const inside = ["netns", "exec", name];

beforeAll(() => {
  ip("netns", "add", name);
  ip("link", "add", here, "type", "veth", "peer", "name", there);
  ip("link", "set", there, "netns", name);
  ip("addr", "add", `${own}/30`, "dev", here);
  ip("link", "set", here, "up");
  ip(...inside, "ip", "addr", "add", `${other}/30`, "dev", there);
  ip(...inside, "ip", "link", "set", there, "up");
});
afterAll(() => void ip("netns", "del", name));

/** A queue that no packet fits in: all is lost, and nobody is told. */
const swallow = ["root", "tbf", "rate", "1kbit", "burst", "1", "limit", "1"];
const sides = {
  replies: (what: readonly string[]) => execFileSync("tc", ["qdisc", ...what]),
  requests: (what: readonly string[]) => ip(...inside, "tc", "qdisc", ...what),
};
const cut = {
  replies: () => sides.replies(["add", "dev", here, ...swallow]),
  requests: () => sides.requests(["add", "dev", there, ...swallow]),
};
const heal = {
  replies: () => sides.replies(["del", "dev", here, "root"]),
  requests: () => sides.requests(["del", "dev", there, "root"]),
};

function startProcess(url: string) {
  const program = new URL("../postgres/programs/cut-off.ts", import.meta.url).pathname;
  const child = spawn("ip", [...inside, process.execPath, program, url], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said: string[] = [];
  const listeners = new Set<() => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    said.push(line);
    for (const listener of listeners) listener();
  });
  const heard = (start: string): Promise<string> =>
    new Promise((resolve) => {
      const look = (): void => {
        const line = said.find((one) => one.startsWith(start));
        if (line === undefined) return;
        listeners.delete(look);
        resolve(line);
      };
      listeners.add(look);
      look();
    });
  const ask = (id: string): Promise<string> => {
    child.stdin.write(`${id}\n`);
    return heard(`told ${id} `);
  };
  return { said, heard, ask };
}

test.each([
  ["nothing gets through", ["requests", "replies"]],
  ["requests are lost", ["requests"]],
  ["answers are lost", ["replies"]],
] as const)(
  "%s: calls end, and go through again when it has healed",
  async (_, lost) => {
    await ground.pool().query("drop schema if exists safeagent cascade");
    const wire = await startSwitch(ground.server.port, own);
    onTestFinished(() => wire.stop());
    const process = startProcess(wire.url);
    await process.heard("ready");
    expect(await process.ask("before")).toBe("told before settled kept");

    for (const side of lost) cut[side]();
    const isHealed = { now: false };
    onTestFinished(() => {
      if (!isHealed.now) for (const side of lost) heal[side]();
    });
    // Each is answered while nothing gets through: with an error that says that nothing ran.
    const during = ["d1", "d2", "d3"];
    const answers = await Promise.all(during.map(process.ask));
    expect(answers).toEqual(during.map((id) => `told ${id} store_unavailable none`));
    expect(process.said.filter((line) => line.startsWith("ran "))).toEqual(["ran before"]);

    for (const side of lost) heal[side]();
    isHealed.now = true;
    let told = "";
    for (let tries = 0; tries < 20 && !told.endsWith("settled kept"); tries += 1) {
      told = await process.ask(`after ${tries}`);
    }
    expect(told).toMatch(/settled kept$/);
    const store = postgresStore({ pool: ground.pool() });
    const guard = createGuard({ store });
    expect(await guard.receipt("before")).toBeDefined();
    for (const id of during) expect(await guard.receipt(id)).toBeUndefined();
    expect((await guard.verify()).faults).toEqual([]);
    await store.close();
  },
  90_000,
);
