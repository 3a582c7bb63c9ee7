/** RunPod's refusals in our words. Its errors are problem documents (RFC 9457) with a sentence in `detail` and no code of their own. */
import type { Failure } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords, type Answer } from "../http.ts";
import { isRecord } from "../record.ts";

/**
 * Its docs say that 400 is both a broken rule and a lack of capacity, told apart only by the sentence. What is not known to be about
 * capacity counts as our mistake: asking elsewhere would fail in the same way.
 */
const aboutCapacity =
  /no longer any instances|no (?:\w+ ){0,3}(?:capacity|instances|resources|machines)|could not be placed|not (?:enough|available)|unavailable|out of (?:stock|capacity)|insufficient (?:capacity|resources)/i;
const aboutQuota = /spend(?:ing)? limit|limit (?:reached|exceeded)|quota|maximum number|too many (?:pods|workers|endpoints)/i;

/** What a refusal to make something means; `hide` is what the request held that nobody is to read. */
export function createFailure(answer: Answer, hide: readonly string[]): Failure {
  const words = wordsOf(answer, hide);
  if (answer.status === 400 && aboutQuota.test(words))
    return failureOf("quota", "account", `RunPod refuses more for now: ${words}`);
  if (answer.status === 400 && aboutCapacity.test(words))
    return failureOf("noCapacity", "type", `RunPod has none of these left there: ${words}`);
  // The account may not use this kind; others may do.
  if (answer.status === 403) return failureOf("forbidden", "type", `RunPod does not let this account use these: ${words}`);
  return requestFailure(answer, hide);
}

/** What a refusal of anything else means. */
export function requestFailure(answer: Answer, hide: readonly string[] = []): Failure {
  const words = wordsOf(answer, hide);
  switch (answer.status) {
    case 401:
      return failureOf("auth", "account", "RunPod does not take the key; make a new one in its settings and connect again");
    case 402:
      return failureOf("balance", "account", "The RunPod account has too little credit; add some and try again");
    case 403:
      return failureOf(
        "forbidden",
        "account",
        "The RunPod key may not do this; give it read and write on pods, serverless and account",
      );
    case 404:
      return failureOf("missing", "type", `RunPod knows no such thing: ${words}`);
    case 409:
      return failureOf("conflict", "type", `RunPod cannot do that as things stand: ${words}`);
    case 429:
      return failureOf("rateLimit", "provider", "RunPod was asked too often and wants us to wait");
    default:
      return answer.status >= 500
        ? failureOf("transient", "provider", `RunPod is in trouble (${answer.status})`)
        : failureOf("invalid", "type", `RunPod refused the request (${answer.status}): ${words}`);
  }
}

function wordsOf({ body }: Answer, hide: readonly string[]): string {
  if (!isRecord(body)) return "no reason given";
  const first: unknown = Array.isArray(body.errors) ? body.errors[0] : undefined;
  return vendorWords([body.detail, first].filter((one) => typeof one === "string").join("; "), hide) || "no reason given";
}
