/** What AWS answers instead, in our words. Codes as EC2, SageMaker and the signing of requests have them. */
import type { Failure, FailureKind, Scope } from "../../../convex/model/gpu.ts";
import { failureOf, vendorWords } from "../http.ts";

type Meaning = readonly [FailureKind, Scope, string];

const signIn = "the access key is not taken: make a new one in IAM and connect again";
const codes: Readonly<Record<string, Meaning>> = {
  InsufficientInstanceCapacity: ["noCapacity", "zone", "no machine of this kind is free in this zone now"],
  InsufficientHostCapacity: ["noCapacity", "zone", "no machine of this kind is free in this zone now"],
  InsufficientReservedInstanceCapacity: ["noCapacity", "zone", "no machine of this kind is free in this zone now"],
  InsufficientCapacity: ["noCapacity", "zone", "no machine of this kind is free in this zone now"],
  UnfulfillableCapacity: ["noCapacity", "zone", "no machine of this kind is free in this zone now"],
  SpotMaxPriceTooLow: ["noCapacity", "zone", "spot machines of this kind cost more now than may be paid"],
  CapacityError: ["noCapacity", "region", "no machine of this kind is free in this region now"],
  Unsupported: ["noCapacity", "zone", "this kind of machine is not let in this zone"],
  VcpuLimitExceeded: ["quota", "region", "your quota of processors for this family is used up"],
  InstanceLimitExceeded: ["quota", "region", "your quota of machines of this kind is used up"],
  MaxSpotInstanceCountExceeded: ["quota", "region", "your quota of spot requests is used up"],
  VolumeLimitExceeded: ["quota", "region", "your quota of disks is used up"],
  ResourceLimitExceeded: ["quota", "region", "your quota for this is used up"],
  PendingVerification: ["forbidden", "region", "AWS is still checking your account for this region, which may take hours"],
  OptInRequired: ["forbidden", "account", "your account has not signed up for this service or region"],
  Blocked: ["forbidden", "account", "AWS has blocked your account: ask their support"],
  AuthFailure: ["auth", "account", signIn],
  InvalidClientTokenId: ["auth", "account", signIn],
  UnrecognizedClientException: ["auth", "account", signIn],
  InvalidSignatureException: ["auth", "account", "the secret key is not taken, or this machine's clock is wrong"],
  SignatureDoesNotMatch: ["auth", "account", "the secret key is not taken"],
  RequestExpired: ["auth", "account", "the session's token has run out, or this machine's clock is wrong"],
  ExpiredToken: ["auth", "account", "the session's token has run out"],
  ExpiredTokenException: ["auth", "account", "the session's token has run out"],
  UnauthorizedOperation: ["forbidden", "account", "the access key may not do this: widen its policy"],
  AccessDenied: ["forbidden", "account", "the access key may not do this: widen its policy"],
  AccessDeniedException: ["forbidden", "account", "the access key may not do this: widen its policy"],
  RequestLimitExceeded: ["rateLimit", "provider", "AWS wants us to wait"],
  Throttling: ["rateLimit", "provider", "AWS wants us to wait"],
  ThrottlingException: ["rateLimit", "provider", "AWS wants us to wait"],
  TooManyRequestsException: ["rateLimit", "provider", "AWS wants us to wait"],
  IdempotentParameterMismatch: ["conflict", "type", "AWS has made something else under the same token"],
  ResourceInUse: ["conflict", "type", "there is one of that name already"],
  ResourceNotFound: ["missing", "type", "AWS has no such thing"],
  InternalError: ["transient", "region", "AWS has trouble"],
  InternalFailure: ["transient", "region", "AWS has trouble"],
  ServiceUnavailable: ["transient", "region", "AWS has trouble"],
  Unavailable: ["transient", "region", "AWS has trouble"],
};

/** `words` are AWS's own, which are shown shortened. */
export function awsFailure({
  code,
  status,
  words,
  hide,
}: {
  readonly code: string;
  readonly status: number | undefined;
  readonly words?: unknown;
  readonly hide?: readonly string[];
}): Failure {
  const known = codes[code] ?? codes[code.replace(/Exception$|Fault$/, "")];
  if (known) {
    const [kind, scope, says] = known;
    const rest = kind === "quota" || kind === "forbidden" ? vendorWords(words, hide) : "";
    return failureOf(kind, scope, `AWS: ${says}${rest ? ` (${rest})` : ""}`);
  }
  const shown = `${code}${words === undefined ? "" : `: ${vendorWords(words, hide)}`}`;
  if (/\.NotFound$|NotFoundException$/.test(code)) return failureOf("missing", "type", `AWS has no such thing (${shown})`);
  if (status === 429) return failureOf("rateLimit", "provider", "AWS wants us to wait");
  if (status === undefined || status >= 500) return failureOf("transient", "region", `AWS has trouble (${shown})`);
  return failureOf("invalid", "type", `AWS does not take what we asked (${shown})`);
}

/**
 * What the client of EC2 threw. `isAnswer`: AWS answered; otherwise `mayHaveArrived` says whether the question may have reached it.
 */
export function fromSdk(
  error: unknown,
  hide: readonly string[],
): { readonly code: string; readonly failure: Failure; readonly isAnswer: boolean; readonly mayHaveArrived: boolean } {
  const { name, message, code, $metadata } = error as {
    name?: string;
    message?: string;
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode;
  const reset = code ?? name ?? "";
  if (status === undefined) {
    const neverSent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN)$/.test(reset);
    const failure = failureOf(
      "transient",
      "provider",
      `AWS did not answer (${/^[\w ]{1,40}$/.test(reset) ? reset : "connection lost"})`,
    );
    return { code: reset, failure, isAnswer: false, mayHaveArrived: !neverSent };
  }
  const awsCode = name ?? "Unknown";
  const failure = awsFailure({ code: awsCode, status, words: message, hide });
  return { code: awsCode, failure, isAnswer: true, mayHaveArrived: true };
}
