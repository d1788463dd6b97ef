import { join } from "node:path";
import { query } from "@anthropic-ai/claude-agent-sdk";
import { anthropicModel } from "./anthropic-model.ts";
import { bareEnv } from "./run.ts";
import { type Front, order, shopServer } from "./shop.ts";

const tool = "mcp__shop__pay";

/**
 * Lets Claude Code run until its model, which calls the tool twice, says that it is done.
 *
 * @returns what its model was handed: call id and text
 */
export async function claudeCode(front: Front, home: string): Promise<[string, string][]> {
  const [command, ...args] = front(shopServer(home), home);
  const model = await anthropicModel(tool, order, 2);
  const session = query({
    prompt: "Pay order A1.",
    options: {
      cwd: home,
      env: {
        ...bareEnv(home),
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: "none",
        CLAUDE_CONFIG_DIR: join(home, "claude"),
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      },
      mcpServers: { shop: { type: "stdio", command, args, alwaysLoad: true } },
      allowedTools: [tool],
      settingSources: [],
      strictMcpConfig: true,
      maxTurns: 6,
    },
  });
  for await (const message of session) {
    if (message.type === "result" && message.subtype !== "success")
      throw new Error(message.subtype);
  }
  return [...model.results];
}
