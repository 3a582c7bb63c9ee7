/** Scaleway's refusals in our words: its errors name their kind in `type`. */
import type { Failure } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords, type Answer } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";

export function scalewayFailure({ status, body }: Answer, hide: readonly string[] = []): Failure {
  const said = isRecord(body) ? body : {};
  const words = vendorWords(said.help_message ?? said.message, hide) || "no reason given";
  const type = textOf(said.type);
  // Its older API says this of a quota, as a kind of bad request.
  if (type === "quotas_exceeded" || /quota exceeded/i.test(words)) return quotaFailure(said, hide);
  switch (type) {
    case "out_of_stock":
      return failureOf("noCapacity", "type", "Scaleway has none of these left in that zone");
    case "too_many_requests":
      return waiting(said);
    case "denied_authentication":
      return failureOf("auth", "account", "Scaleway does not take the key; make a new one in its console and connect again");
    case "permissions_denied":
      return failureOf("forbidden", "account", `The Scaleway key may not do this${wanting(said, hide)}`);
    case "transient_state":
    case "locked":
    case "resource_still_in_use":
    case "precondition_failed":
    case "already_exists":
    case "conflict":
      return failureOf("conflict", "type", `Scaleway cannot do that as things stand: ${words}`);
    case "unknown_resource":
    case "not_found":
      return failureOf("missing", "type", "Scaleway knows no such thing");
    default:
      return byStatus(status, words, said);
  }
}

function byStatus(status: number, words: string, said: Record<string, unknown>): Failure {
  if (status === 401) return failureOf("auth", "account", "Scaleway does not take the key");
  if (status === 402) return failureOf("balance", "account", "The Scaleway account has a payment to see to; look at its console");
  if (status === 403) return failureOf("forbidden", "account", `The Scaleway key may not do this: ${words}`);
  if (status === 404) return failureOf("missing", "type", "Scaleway knows no such thing");
  if (status === 409) return failureOf("conflict", "type", `Scaleway cannot do that as things stand: ${words}`);
  if (status === 429) return waiting(said);
  return status >= 500
    ? failureOf("transient", "provider", `Scaleway is in trouble (${status})`)
    : failureOf("invalid", "type", `Scaleway refused the request (${status}): ${words}`);
}

/** Quotas are of one kind of resource each, so others may still be had. */
function quotaFailure(said: Record<string, unknown>, hide: readonly string[]): Failure {
  const [first] = recordsIn(said, "details") ?? [];
  const resource = vendorWords(first?.resource ?? said.resource, hide) || "these";
  const limit = first ? ` (${numberOf(first.current)} of ${numberOf(first.quota)} in use)` : "";
  return failureOf("quota", "type", `The Scaleway quota for ${resource} is used up${limit}; have it raised in its console`);
}

function wanting(said: Record<string, unknown>, hide: readonly string[]): string {
  const [first] = recordsIn(said, "details") ?? [];
  const what = first ? vendorWords(`${textOf(first.action)} ${textOf(first.resource)}`.trim(), hide) : "";
  return what === "" ? "" : `: it lacks the right to ${what}`;
}

function waiting(said: Record<string, unknown>): Failure {
  const seconds = numberOf(said.reset_seconds);
  return {
    ...failureOf("rateLimit", "provider", "Scaleway was asked too often and wants us to wait"),
    ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
  };
}
