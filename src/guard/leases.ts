import type { Executing } from "../core/case.ts";
import { summaryOf } from "../core/case.ts";
import type { Stored } from "../core/store.ts";
import type { Report } from "./hooks.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./platform.ts";

/** A claim of this process, as it was last seen in the store. */
export interface Held {
  stored: Stored & { readonly case: Executing };
  readonly fence: number;
  /** Called when the claim is found lost. */
  readonly lost: () => void;
  /** When a renewal was last tried, on the monotonic clock. */
  renewedAtMs: number;
  /** Its receipt is still to be written: until then others should take it for alive. */
  owed: boolean;
  /** When the store last confirmed the claim. */
  confirmedAtMs: number;
}

/** Keeps the leases of this process's claims alive while their effects run. */
export interface Leases {
  add(held: Held): void;
  remove(held: Held): void;
}

export interface LeasesOptions {
  readonly ledger: Ledger;
  readonly platform: Platform;
  readonly report: Report;
  readonly leaseMs: number;
}

export function createLeases({ ledger, platform, report, leaseMs }: LeasesOptions): Leases {
  const held = new Set<Held>();
  const everyMs = leaseMs / 3;
  let ticking = false;

  // One timer for all claims: a timer each would cost more than the claims do.
  const tick = () => {
    if (held.size === 0) {
      ticking = false;
      return;
    }
    const nowMs = platform.monotonicMs();
    for (const claim of held) {
      // Cut off for a whole lease: others take this worker for lost, and the effect should know.
      if (nowMs - claim.confirmedAtMs >= leaseMs) claim.lost();
      if (nowMs - claim.renewedAtMs >= everyMs * 0.9) {
        claim.renewedAtMs = nowMs;
        renew(claim).catch((error: unknown) => report("failed", "renewal", error));
      }
    }
    platform.after(everyMs / 3, true, tick);
  };

  const renew = async (claim: Held) => {
    const kase = claim.stored.case;
    const askedMs = claim.renewedAtMs;
    const applied = await ledger.apply({
      caseId: kase.caseId,
      by: kase.claim.by,
      known: claim.stored,
      happening: (at) => ({ type: "renew", fence: claim.fence, leaseUntil: at + leaseMs }),
    });
    if (!held.has(claim)) return;
    const now = applied.ok ? applied.stored.case : applied.before;
    // Written, or written and then gone on from by others: what was found may be another one's claim.
    if (applied.ok && now.state === "EXECUTING" && now.claim.holder === kase.claim.holder) {
      claim.stored = { case: now, head: applied.stored.head };
      claim.confirmedAtMs = askedMs;
    } else {
      held.delete(claim);
      report("leaseLost", () => summaryOf(now));
      claim.lost();
    }
  };

  return {
    add(claim) {
      held.add(claim);
      if (ticking) return;
      ticking = true;
      platform.after(everyMs / 3, true, tick);
    },
    remove(claim) {
      held.delete(claim);
    },
  };
}
