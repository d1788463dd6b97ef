import { expect, test } from "vitest";
import { ownFolder } from "../support/folder.ts";
import { conformance } from "../support/http-servers.ts";
import { inspect } from "../support/inspector.ts";
import { guardedUrl } from "../support/safeagent.ts";

test.each([
  ["directly", async (url: string) => url],
  ["behind the guard", guardedUrl],
])(
  "%s, a client whose stream the server ends asks for the rest, and gets its answer",
  async (_, front) => {
    const home = ownFolder();
    const url = await front(await conformance(home), home);
    const call = ["--method", "tools/call", "--tool-name", "test_reconnection"];
    const { code, stdout, stderr } = await inspect({ url }, home, ...call);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).content).toEqual([
      { type: "text", text: "answered on another stream" },
    ]);
  },
);
