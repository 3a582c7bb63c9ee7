/** Contabo's refusals in our words: a status and a sentence. */
import type { Failure } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords, type Answer } from "../http.ts";
import { isRecord, textOf } from "../record.ts";

const aboutCapacity = /not available|unavailable|out of stock|no capacity|sold out/i;
const aboutQuota = /quota|limit (?:reached|exceeded)|maximum number/i;

export function contaboFailure({ status, body }: Answer, hide: readonly string[] = []): Failure {
  const said = isRecord(body) ? body : {};
  const words = vendorWords(said.message ?? said.error_description, hide) || "no reason given";
  // The sign-in says this of a wrong user or password, and this of a wrong client.
  if (
    textOf(said.error) === "invalid_grant" ||
    textOf(said.error) === "invalid_client" ||
    textOf(said.error) === "unauthorized_client"
  )
    return failureOf("auth", "account", "Contabo does not take the API user or its password; look at them in its customer panel");
  if ([400, 409, 422].includes(status) && aboutQuota.test(words))
    return failureOf("quota", "account", `Contabo refuses more for now: ${words}`);
  if ([400, 409, 422].includes(status) && aboutCapacity.test(words))
    return failureOf("noCapacity", "type", `Contabo has none of these left there: ${words}`);
  switch (status) {
    case 401:
      return failureOf("auth", "account", "Contabo does not take the token");
    case 402:
      return failureOf("balance", "account", "Contabo wants to be paid first; see to it in its customer panel");
    case 403:
      return failureOf("forbidden", "account", `The Contabo API user may not do this: ${words}`);
    case 404:
      return failureOf("missing", "type", "Contabo knows no such thing");
    case 409:
      return failureOf("conflict", "type", `Contabo cannot do that as things stand: ${words}`);
    case 429:
      return failureOf("rateLimit", "provider", "Contabo was asked too often and wants us to wait");
    default:
      return status >= 500
        ? failureOf("transient", "provider", `Contabo is in trouble (${status})`)
        : failureOf("invalid", "type", `Contabo refused the request (${status}): ${words}`);
  }
}
