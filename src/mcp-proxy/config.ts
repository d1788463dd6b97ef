import { GuardError, type Policy } from "../index.ts";
import { type ConfigPolicy, policyOf } from "./config-policy.ts";
import { configSchema } from "./config-schema.ts";
import { type KeyTemplate, readTemplate } from "./key-template.ts";
import { schemaFault } from "./schema-check.ts";

/** What `safeagent.config.json` says, checked and with its defaults. */
export interface ProxyConfig {
  /** Names the server in the ids of cases. */
  readonly server: string;
  /** For `createGuard`. */
  readonly namespace: string;
  /** Who calls, where the transport can't tell. */
  readonly tenant: string | undefined;
  /** Believe the server's annotations. */
  readonly trustAnnotations: boolean;
  /** Take the call ids of Claude Code and Codex for request ids. */
  readonly callIds: boolean;
  /** Ask the person at the client for approvals. */
  readonly elicit: boolean;
  /** The name under which the person at the client approves. */
  readonly approver: string;
  /** Milliseconds for which that person is asked; then the call stays pending. */
  readonly questionMs: number;
  /** Headers by whose values the server knows its callers, beside the usual ones. */
  readonly principalHeaders: readonly string[];
  /** The rules of the tools that are named. */
  readonly tools: ReadonlyMap<string, ToolRule>;
  /** The rule of every other tool. */
  readonly others: ToolRule;
}

/** What the config says of one tool. What it leaves out is decided by the server's annotations. */
export interface ToolRule {
  readonly guard?: boolean;
  readonly key?: KeyTemplate;
  readonly shared?: boolean;
  readonly action?: string;
  readonly keyArgument?: string;
  readonly ignore?: readonly string[];
  readonly effect?: "opaque" | "idempotent";
  readonly onError?: "unknown" | "not_performed";
  readonly windowMs?: number | null;
  readonly timeoutMs?: number;
  readonly waitMs?: number;
  readonly policy?: Policy;
}

export interface ConfigDefaults {
  /** Names the server where the config doesn't. */
  readonly server: string;
}

/** The config as it is written. */
interface Written {
  readonly server?: string;
  readonly namespace?: string;
  readonly tenant?: string;
  readonly trustAnnotations?: boolean;
  readonly callIds?: boolean;
  readonly elicit?: boolean;
  readonly approver?: string;
  readonly questionMs?: number;
  readonly principalHeaders?: readonly string[];
  readonly tools?: { readonly [tool: string]: WrittenRule };
}

interface WrittenRule extends Omit<ToolRule, "key" | "policy"> {
  readonly key?: string;
  readonly policy?: ConfigPolicy;
}

/**
 * Checks a config and fills in its defaults.
 *
 * @param json the parsed file; `{}` where there is none
 * @throws GuardError `invalid_request` that names the place of the mistake
 * @example readConfig({ tools: { refund: { key: "refund:{/orderId}" } } }, { server: "shop" })
 */
export function readConfig(json: unknown, defaults: ConfigDefaults): ProxyConfig {
  const wrong = schemaFault(configSchema, json);
  if (wrong !== undefined) throw mistake(wrong.at, wrong.says);
  const written = json as Written;
  const rules = Object.entries(written.tools ?? {});
  const everybody = written.tools?.["*"] ?? {};
  const others = ruleOf("*", everybody, everybody);
  const named = rules.filter(([tool]) => tool !== "*");
  return {
    server: written.server ?? defaults.server,
    namespace: written.namespace ?? "default",
    tenant: written.tenant,
    trustAnnotations: written.trustAnnotations ?? true,
    callIds: written.callIds ?? true,
    elicit: written.elicit ?? true,
    approver: written.approver ?? "person-at-client",
    questionMs: written.questionMs ?? 300_000,
    principalHeaders: written.principalHeaders ?? [],
    tools: new Map(named.map(([tool, rule]) => [tool, ruleOf(tool, rule, everybody)])),
    others,
  };
}

function ruleOf(tool: string, own: WrittenRule, everybody: WrittenRule): ToolRule {
  const at = `/tools/${tool.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  // One name for the effects of all tools would make one effect of different ones.
  if (tool === "*" && own.key !== undefined) throw mistake(`${at}/key`, "must be a named tool's");
  if (tool === "*" && own.action !== undefined) {
    throw mistake(`${at}/action`, "must be a named tool's");
  }
  // On every tool, it would hold back those that only read, or else a server could say of any tool
  // that it only reads, and nobody were asked.
  if (tool === "*" && own.policy !== undefined && own.guard === undefined) {
    throw mistake(
      `${at}/policy`,
      'needs a "guard" beside it: whether tools that only read wait, too',
    );
  }
  const implied = demandsGuard(tool, own) ? { guard: true } : {};
  const { key: text, policy, ...rest } = { ...everybody, ...implied, ...own };
  const key = text === undefined ? undefined : readTemplate(text);
  if (typeof key === "string") throw mistake(`${at}/key`, key);
  if (rest.shared !== undefined && key === undefined && own.shared !== undefined) {
    throw mistake(`${at}/shared`, "needs a key: what is shared is the key");
  }
  const checked = policy === undefined ? undefined : policyOf(policy);
  if (typeof checked === "string") throw mistake(`${at}/policy`, checked);
  return {
    ...rest,
    ...(key === undefined ? {} : { key }),
    ...(checked === undefined ? {} : { policy: checked }),
  };
}

/**
 * Who says of a named tool how its effect is told, approved or ended wants it guarded, whatever its
 * server says of it: `readOnlyHint` must not switch an approval off.
 */
function demandsGuard(tool: string, own: WrittenRule): boolean {
  return tool !== "*" && demands.some((member) => own[member] !== undefined);
}

const demands = ["policy", "key", "keyArgument", "effect", "onError", "windowMs"] as const;

function mistake(at: string, says: string): GuardError {
  const place = at === "" ? "The config" : `The config at ${JSON.stringify(at)}`;
  return new GuardError("invalid_request", `${place} ${says}.`, {
    next: "Correct safeagent.config.json; safeagent.config.schema.json says what it may hold.",
  });
}
