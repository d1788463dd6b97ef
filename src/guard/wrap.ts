import { GuardError } from "../core/errors.ts";
import { defaults, limits } from "../core/limits.ts";
import { type AnyRules, admit, type Entrance, invalid, name, span, termsOf } from "./ask.ts";
import type {
  GuardedCallOptions,
  GuardedFunction,
  SchemaIssue,
  StandardSchema,
  WrapRules,
} from "./call.ts";
import type { Execute } from "./execute.ts";
import type { KnownAction } from "./stored-ask.ts";

type AnyWrap = WrapRules<unknown, unknown> & { readonly input?: StandardSchema<unknown, unknown> };

/** Makes a function that is called like the one it wraps, and lets it happen once per key. */
export function wrapped(
  action: string,
  rules: AnyWrap,
  execute: Execute,
  entrance: Entrance,
): { readonly call: GuardedFunction<unknown, unknown>; readonly known: KnownAction } {
  name("action", action);
  if (typeof rules?.run !== "function") throw invalid(`wrap("${action}") needs a \`run\`.`);
  if (typeof rules.key !== "function") {
    throw invalid(
      `wrap("${action}") needs \`key\`: what makes two calls the same effect? Example: key: (p) => \`invoice:\${p.invoiceId}\`.`,
    );
  }
  // Checked once here, so that a wrong rule is found at start and not at the first refund.
  const terms = termsOf(rules as AnyRules, entrance);
  const timeoutMs = span("timeoutMs", rules.timeoutMs ?? defaults.timeoutMs, 1);
  const most = limits.claimsPerCase;
  const maxAttempts = span("maxAttempts", rules.maxAttempts ?? defaults.maxAttempts, 1, {}, most);

  const keyOf = (checked: unknown): string => {
    try {
      return rules.key(checked);
    } catch (cause) {
      const options = { cause, next: "Check the payload with `input` before its key is taken." };
      throw new GuardError("invalid_request", `The key of "${action}" can't be taken.`, options);
    }
  };

  const asked = async (payload: unknown, options: GuardedCallOptions) => {
    const checked = rules.input === undefined ? payload : await validated(rules.input, payload);
    const caseId = name("key", keyOf(checked));
    const requestId = options.requestId ?? caseId;
    return admit(
      { ...rules, ...options, action, caseId, requestId, payload: checked } as never,
      entrance,
    );
  };

  const outcome = async (payload: unknown, options: GuardedCallOptions = {}) =>
    execute(await asked(payload, options));

  const call = async (payload: unknown, options: GuardedCallOptions = {}): Promise<unknown> => {
    const ask = await asked(payload, options);
    const answer = await execute(ask);
    if (answer.status === "settled") return answer.receipt.value;
    const { requestId, caseId } = ask;
    throw new GuardError("held", answer.next, { requestId, caseId, outcome: answer });
  };

  return {
    call: Object.assign(call, { outcome, action }),
    known: {
      rules: {
        run: rules.run as KnownAction["rules"]["run"],
        probe: (rules as AnyRules).probe as KnownAction["rules"]["probe"],
        onError: (rules as AnyRules).onError,
      },
      terms,
      timeoutMs,
      worker: { maxAttempts },
    },
  };
}

async function validated(
  schema: StandardSchema<unknown, unknown>,
  payload: unknown,
): Promise<unknown> {
  const result = await schema["~standard"].validate(payload);
  if (result.issues === undefined) return result.value;
  const paths = result.issues.map(pathOf);
  throw invalid(`The payload does not fit its schema at ${[...new Set(paths)].join(", ")}.`);
}

/** Only the place: a schema's message may quote the value. */
function pathOf(issue: SchemaIssue): string {
  const keys = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
  return JSON.stringify(keys.length === 0 ? "" : `/${keys.join("/")}`);
}
