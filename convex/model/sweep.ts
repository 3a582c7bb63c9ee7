/** What is to become of things in a provider's account, told from what they carry alone: no database is asked. Pure. */
import type { Observed } from "./gpu.ts";

/** `foreign` is never touched; `overdue` is ended by whoever sees it; `ours` is for its row to say, or for who has none to leave. */
export type Verdict = "foreign" | "overdue" | "ours" | "gone";

/** Whoever knows more has ended it by then. */
export const overdueGraceMs = 60_000;

export function judge(observed: Observed, { installId, now }: { readonly installId: string; readonly now: number }): Verdict {
  if (observed.installId?.slice(0, installId.length) !== installId) return "foreign";
  if (observed.state === "gone" && observed.satellites.length === 0) return "gone";
  const { deadline } = observed;
  // Left behind without its machine, and without a time of its own: nothing of ours is like that for long, but its row knows since when.
  if (deadline === undefined) return "ours";
  return now > deadline + overdueGraceMs ? "overdue" : "ours";
}
