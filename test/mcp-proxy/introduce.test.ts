import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { answerMs, introduceHttp, introduceStdio } from "../../src/mcp-proxy/introduce.ts";

/** Advances a clock that stands still until what is waited for has ended. */
async function fails(introducing: Promise<unknown>): Promise<unknown> {
  const failed = introducing.then(
    () => "it answered",
    (error: Error) => error.message,
  );
  await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0), { interval: 1 });
  vi.advanceTimersByTime(answerMs);
  return failed;
}

test("a server over stdio that never answers is given up", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const mute = "process.stdin.resume().on('end', () => process.exit())";
  const introducing = introduceStdio(process.execPath, ["-e", mute]);
  expect(await fails(introducing)).toBe("the server did not answer in 60 s");
});

test("a server over HTTP that never answers is given up, and hung up on", async () => {
  const arrived = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const server = createServer((_message, response) => {
    response.once("close", left.resolve);
    arrived.resolve();
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { port } = server.address() as AddressInfo;
  const introducing = introduceHttp(new URL(`http://127.0.0.1:${port}/mcp`));
  await arrived.promise;
  expect(await fails(introducing)).toBe("the server did not answer in 60 s");
  await left.promise;
});
