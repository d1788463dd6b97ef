import type { Attempt, Book } from "./book.ts";
import { allowed } from "./setting.ts";

/** What is wrong with the start of an effect, in a sentence that begins with the promise it breaks. */
export function startFault(book: Book, attempt: Attempt): string | undefined {
  const { caseId, fence } = attempt;
  const earlier = book.attempts.filter((one) => one !== attempt);
  if (!book.claims.has(fence))
    return `P4: ${caseId} was started under claim ${fence}, which was never committed`;
  if (earlier.some((one) => one.fence === fence))
    return `P1: claim ${fence} of ${caseId} was started twice`;
  if (attempt.payload !== book.payload) return `P3: another payload of ${caseId} runs`;
  const unknown = earlier.filter((one) => !one.cleared);
  switch (book.setting.action) {
    case "opaque":
      if (unknown.length > 0) return `P1: the opaque effect of ${caseId} was started a second time`;
      break;
    case "probeable":
      if (unknown.length > 0) {
        return `P2: ${caseId} was called again without a word that its first call did not happen`;
      }
      break;
    case "keyed":
    case "keyed and probed":
      if (earlier.some((one) => one.key !== attempt.key))
        return `P2: ${caseId} was called with two keys`;
      break;
    case "idempotent":
      break;
  }
  return decisionFault(book);
}

/** P6, P7: nothing starts before its decision, or on one that doesn't permit it. */
function decisionFault({ setting, decided }: Book): string | undefined {
  if (setting.decision === "immediate") return undefined;
  if (decided?.status !== "final") return `P6: ${setting.caseId} was started before it was final`;
  if (setting.decision === "voted" && !allowed.some((one) => one === decided.outcome)) {
    return `P6: ${setting.caseId} was started on an outcome that doesn't permit it`;
  }
  return undefined;
}

/** P1, P2: what a repeat would harm happens once. */
export function happenedFault({ setting, happened }: Book): string | undefined {
  if (setting.action === "idempotent" || happened <= 1) return undefined;
  return `${setting.action === "opaque" ? "P1" : "P2"}: ${setting.caseId} happened ${happened} times`;
}
