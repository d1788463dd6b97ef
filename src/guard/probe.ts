import type { InDoubt } from "../core/case.ts";
import type { Happening } from "../core/event.ts";
import type { Rules } from "./ask.ts";
import { pauseAfter } from "./backoff.ts";
import { idempotencyKey } from "./context.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./platform.ts";
import { returnedOf } from "./returned.ts";

/** Asks the world whether an effect in doubt happened, and writes down what it says. */
export interface Prober {
  probe(kase: InDoubt, probe: Rules["probe"], by: string): Promise<void>;
}

/** Milliseconds a probe may take; over it, it has found nothing out. */
const probeTimeoutMs = 30_000;

export function createProber(ledger: Ledger, platform: Platform, report: Report): Prober {
  const ask = async (kase: InDoubt, probe: NonNullable<Rules["probe"]>): Promise<Found> => {
    const over = new AbortController();
    const stop = platform.after(probeTimeoutMs, false, () => over.abort());
    const silence = new Promise<"unknown">((resolve) => {
      over.signal.addEventListener("abort", () => resolve("unknown"), { once: true });
    });
    try {
      const ctx = {
        caseId: kase.caseId,
        idempotencyKey: idempotencyKey(kase.namespace, kase.caseId, platform),
        signal: over.signal,
      };
      const said = await Promise.race([probe(kase.intent.payload, ctx), silence]);
      if (said === "absent") return { answer: "absent" };
      if (typeof said === "object" && said !== null && said.happened === true) {
        return { answer: "happened", ...returnedOf(said.value) };
      }
    } catch (error) {
      // A probe that fails has found nothing out.
      report("failed", "probe", error);
    } finally {
      stop();
    }
    return { answer: "unknown" };
  };

  return {
    async probe(kase, probe, by) {
      if (probe === undefined) return;
      const found = await ask(kase, probe);
      await ledger.apply({
        caseId: kase.caseId,
        by,
        happening: (at): Happening => ({
          type: "probed",
          fence: kase.claim.fence,
          found:
            found.answer === "unknown"
              ? { answer: "unknown", probeAt: at + pauseMs(kase.doubt.probes, platform) }
              : found,
        }),
      });
    },
  };
}

type Found =
  | Exclude<Extract<Happening, { type: "probed" }>["found"], { answer: "unknown" }>
  | { readonly answer: "unknown" };

/** Spread so that many doubts don't ask at once, and none asks sooner than half the pause. */
function pauseMs(probes: number, platform: Platform): number {
  return Math.round(pauseAfter(probes + 1) * (0.5 + platform.jitter() / 2));
}
