/** What Azure answers instead, in our words. The code that counts is often inside another one's details. */
import type { Failure, FailureKind, Scope } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords, type Answer } from "../http.ts";
import { isRecord, recordsIn, textOf } from "../record.ts";

type Meaning = readonly [FailureKind, Scope, string];

const full = "no machine of this kind is free in this region now";
const signIn = "the application's secret is not taken: make a new one and connect again";
const codes: Readonly<Record<string, Meaning>> = {
  SkuNotAvailable: ["noCapacity", "region", full],
  AllocationFailed: ["noCapacity", "region", full],
  ZonalAllocationFailed: ["noCapacity", "zone", full],
  OverconstrainedAllocationRequest: ["noCapacity", "region", full],
  OverconstrainedZonalAllocationRequest: ["noCapacity", "zone", full],
  InsufficientCapacity: ["noCapacity", "region", full],
  QuotaExceeded: ["quota", "region", "your quota is used up"],
  SubscriptionNotRegistered: ["forbidden", "account", "a resource provider is not registered in this subscription"],
  MissingSubscriptionRegistration: ["forbidden", "account", "a resource provider is not registered in this subscription"],
  ReadOnlyDisabledSubscription: ["balance", "account", "the subscription is disabled, as when nothing pays for it"],
  SubscriptionNotEnabled: ["balance", "account", "the subscription is disabled, as when nothing pays for it"],
  AuthorizationFailed: ["forbidden", "account", "the application may not do this: give it the role"],
  RequestDisallowedByPolicy: ["forbidden", "account", "a policy of the subscription does not allow this"],
  InvalidAuthenticationToken: ["auth", "account", signIn],
  ExpiredAuthenticationToken: ["auth", "account", "the token has run out"],
  InvalidAuthenticationTokenTenant: ["auth", "account", "the application belongs to another tenant"],
  SubscriptionNotFound: ["forbidden", "account", "the application sees no such subscription"],
  TooManyRequests: ["rateLimit", "provider", "Azure wants us to wait"],
  ResourceGroupBeingDeleted: ["conflict", "type", "the group is being deleted"],
  ResourceGroupNotFound: ["missing", "type", "Azure has no such group"],
  ResourceNotFound: ["missing", "type", "Azure has no such thing"],
};

/** For an answer of 400 and above. */
export function azureFailure({ status, body }: Answer): Failure {
  return errorFailure(isRecord(body) ? body["error"] : undefined, status);
}

/** For the `error` of an answer or of an operation that failed. */
export function errorFailure(error: unknown, status = 0): Failure {
  const all = [...within(error)];
  const message = all.map((one) => textOf(one["message"])).find((text) => text !== "") ?? "";
  const words = vendorWords(message);
  for (const { code } of all) {
    const known = codes[textOf(code)];
    if (known) {
      const [kind, scope, says] = known;
      return failureOf(kind, scope, `Azure: ${says}${kind === "quota" || kind === "forbidden" ? ` (${words})` : ""}`);
    }
    // One code for quotas and for what just may not be done; the words tell.
    if (code === "OperationNotAllowed" && /quota|limit/i.test(message))
      return failureOf("quota", "region", `Azure: your quota is used up (${words})`);
  }
  const shown = words === "" ? "" : ` (${words})`;
  if (status === 401) return failureOf("auth", "account", `Azure: ${signIn}`);
  if (status === 403) return failureOf("forbidden", "account", `Azure: the application may not do this${shown}`);
  if (status === 404) return failureOf("missing", "type", "Azure has no such thing");
  if (status === 409) return failureOf("conflict", "type", `Azure: this is in the way of something else${shown}`);
  if (status === 429) return failureOf("rateLimit", "provider", "Azure wants us to wait");
  if (status === 0 || status >= 500) return failureOf("transient", "region", `Azure has trouble${shown}`);
  return failureOf("invalid", "type", `Azure does not take what we asked${shown}`);
}

/** The innermost first. */
function* within(error: unknown): Generator<Record<string, unknown>> {
  if (!isRecord(error)) return;
  for (const detail of recordsIn(error, "details") ?? []) yield* within(detail);
  yield error;
}
