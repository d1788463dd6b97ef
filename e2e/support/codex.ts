import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { responsesModel } from "./responses-model.ts";
import { installed, run } from "./run.ts";
import { type Front, order, shopServer } from "./shop.ts";

/**
 * Lets Codex run until its model, which calls the tool twice, says that it is done.
 *
 * @returns what its model was handed: call id and text
 */
export async function codex(front: Front, home: string): Promise<[string, string][]> {
  const [command, ...args] = front(shopServer(home), home);
  const model = await responsesModel({ namespace: "mcp__shop", name: "pay" }, order, 2);
  mkdirSync(join(home, "codex"));
  // TOML takes JSON's texts and lists of texts. Codex waits only for a server that is required.
  writeFileSync(
    join(home, "codex", "config.toml"),
    `model = "fake"
model_provider = "fake"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.fake]
name = "fake"
base_url = ${JSON.stringify(`${model.url}/v1`)}
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[mcp_servers.shop]
command = ${JSON.stringify(command)}
args = ${JSON.stringify(args)}
required = true
startup_timeout_sec = 60
`,
  );
  const { code, stderr } = await run(
    installed("codex", "exec", "--skip-git-repo-check", "-C", home, "Pay order A1."),
    home,
    { CODEX_HOME: join(home, "codex") },
  );
  if (code !== 0) throw new Error(stderr);
  return [...model.results];
}
