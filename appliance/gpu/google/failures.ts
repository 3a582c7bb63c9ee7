/** What Google Cloud answers instead, in our words. One thing has several names: by HTTP, by the older reason, by an operation's code. */
import type { Failure, FailureKind, Scope } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords, type Answer } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";

type Meaning = readonly [FailureKind, Scope, string];

const full = "no machine of this kind is free in this zone now";
const reasons: Readonly<Record<string, Meaning>> = {
  ZONE_RESOURCE_POOL_EXHAUSTED: ["noCapacity", "zone", full],
  ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: ["noCapacity", "zone", full],
  insufficientCapacity: ["noCapacity", "zone", full],
  stockout: ["noCapacity", "zone", full],
  RESOURCE_NOT_READY: ["rateLimit", "zone", "the thing is being worked on"],
  resourceNotReady: ["rateLimit", "zone", "the thing is being worked on"],
  RESOURCE_OPERATION_RATE_EXCEEDED: ["rateLimit", "zone", "Google wants us to wait"],
  rateLimitExceeded: ["rateLimit", "provider", "Google wants us to wait"],
  userRateLimitExceeded: ["rateLimit", "provider", "Google wants us to wait"],
  accessNotConfigured: ["forbidden", "account", "an API is not turned on in this project"],
  SERVICE_DISABLED: ["forbidden", "account", "an API is not turned on in this project"],
  BILLING_DISABLED: ["balance", "account", "this project has no billing account that pays"],
  billingNotEnabled: ["balance", "account", "this project has no billing account that pays"],
  IAM_PERMISSION_DENIED: ["forbidden", "account", "the service account may not do this: give it the role"],
  authError: ["auth", "account", "the service account's token is not taken"],
  RESOURCE_NOT_FOUND: ["missing", "zone", "Google has no such thing here"],
  RESOURCE_ALREADY_EXISTS: ["conflict", "type", "there is one of that name already"],
  alreadyExists: ["conflict", "type", "there is one of that name already"],
};

/** For an answer of 400 and above. */
export function googleFailure(answer: Answer): Failure {
  const error = isRecord(answer.body) && isRecord(answer.body["error"]) ? answer.body["error"] : {};
  const older = textOf(recordsIn(error, "errors")?.[0]?.["reason"]);
  const newer = (recordsIn(error, "details") ?? []).map((one) => textOf(one["reason"])).find((reason) => reason !== "");
  return failureFor([newer ?? "", older, textOf(error["status"])], answer.status, textOf(error["message"]));
}

/** For an operation that ended with an error; undefined when it ended well. */
export function operationFailure(operation: unknown): Failure | undefined {
  const error = isRecord(operation) ? operation["error"] : undefined;
  const [first] = recordsIn(error, "errors") ?? [];
  if (!first) return undefined;
  return failureFor(
    [textOf(first["code"])],
    isRecord(operation) ? numberOf(operation["httpErrorStatusCode"]) : 0,
    textOf(first["message"]),
  );
}

/** For a job of Vertex that failed, from its `error` (google.rpc.Status). */
export function jobFailure(error: unknown): Failure | undefined {
  if (!isRecord(error)) return undefined;
  return failureFor([], numberOf(error["code"]) === 8 ? 429 : 400, textOf(error["message"]));
}

function failureFor(names: readonly string[], status: number, message: string): Failure {
  const words = vendorWords(message);
  if (names.some((name) => /^(QUOTA_EXCEEDED|quotaExceeded)$/.test(name)) || /quota (metrics? )?.*exceed/i.test(message)) {
    // One quota of GPUs counts in all regions together; with it used up no region is worth asking.
    const scope = /GPUS_ALL_REGIONS/.test(message) ? "provider" : "region";
    return failureOf("quota", scope, `Google Cloud: your quota is used up (${words})`);
  }
  if (/resources are insufficient|does not have enough resources/i.test(message))
    return failureOf("noCapacity", /region/i.test(message) ? "region" : "zone", `Google Cloud: ${full}`);
  for (const name of names) {
    const known = reasons[name];
    if (known) return failureOf(known[0], known[1], `Google Cloud: ${known[2]}${known[0] === "forbidden" ? ` (${words})` : ""}`);
  }
  const shown = words === "" ? "" : ` (${words})`;
  if (status === 401) return failureOf("auth", "account", "Google Cloud does not take the service account's token");
  if (status === 403) return failureOf("forbidden", "account", `Google Cloud: the service account may not do this${shown}`);
  if (status === 404) return failureOf("missing", "type", "Google Cloud has no such thing");
  if (status === 409) return failureOf("conflict", "type", `Google Cloud: there is one of that name already${shown}`);
  if (status === 429) return failureOf("rateLimit", "provider", "Google Cloud wants us to wait");
  if (status >= 500 || status === 0 || names.includes("UNSUPPORTED_OPERATION"))
    return failureOf("transient", "zone", `Google Cloud has trouble${shown}`);
  return failureOf("invalid", "type", `Google Cloud does not take what we asked${shown}`);
}
