/**
 * How all vendors of machines are spoken to. One question, one request: nothing is asked twice in here, because only who knows what a
 * second machine would cost may do that. An answer that does not come is told apart by whether the vendor may have heard the question.
 */
import type { CreateResult, Failure } from "../../convex/model/gpu.ts";
import { ProviderError } from "../../functions/ports/gpu.ts";

export type HttpOptions = {
  /** As the owner knows it: "RunPod". Begins sentences. */
  readonly vendor: string;
  /** Without a slash at its end. */
  readonly url: string;
  readonly now: () => number;
  /** Requests in a burst, and how many a minute come back. Absent: as fast as asked. */
  readonly pace?: { readonly burst: number; readonly perMinute: number };
  /** For one request, answer included. Default 60 s. */
  readonly timeoutMs?: number;
  /** Bytes of one answer. Default 32 MiB. */
  readonly bytesMax?: number;
  /** Told of every request that ended, secrets taken out. */
  readonly journal?: (entry: JournalEntry) => void;
  /** Headers of every request, credentials among them; asked for each time, so that what expires can be renewed. */
  readonly headers?: (signal: AbortSignal) => Promise<Readonly<Record<string, string>>>;
  /** What must never be shown. Values of `authorization` and the like are known without being named here. */
  readonly secrets?: () => readonly string[];
};

export type JournalEntry = {
  readonly at: number;
  readonly vendor: string;
  readonly method: string;
  readonly path: string;
  /** Absent when no answer came. */
  readonly status?: number;
  readonly ms: number;
  readonly error?: string;
};

export type Question = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query; or a whole address, for vendors of several hosts and for links to the next page. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly text?: { readonly type: string; readonly body: string };
  readonly timeoutMs?: number;
  /** Of an answer that never ends, what came within this time. */
  readonly readMs?: number;
  /** Without the headers of every request: for tokens and public lists. */
  readonly isBare?: boolean;
};

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the text is as JSON; undefined when it is none. */
  readonly body: unknown;
};

/** `mayHaveArrived`: the vendor may have done what it was asked for. */
export type Sent =
  | { readonly type: "answer"; readonly answer: Answer }
  | { readonly type: "none"; readonly mayHaveArrived: boolean; readonly failure: Failure };

/** What a vendor's refusal means, in our words. Its statuses are 400 and above. */
export type ErrorMap = (answer: Answer) => Failure;

export type Http = {
  readonly now: () => number;
  /** Asks once; whatever status comes is an answer. Never throws. */
  send(question: Question, signal: AbortSignal): Promise<Sent>;
  /** The same, where a status of 400 and above and no answer at all are `ProviderError`. */
  ask(question: Question, signal: AbortSignal, errors: ErrorMap): Promise<Answer>;
};

export function openHttp(options: HttpOptions): Http {
  const { vendor, now, timeoutMs = 60_000 } = options;
  const pace = openPace(options.pace, now);

  const send = async (question: Question, signal: AbortSignal): Promise<Sent> => {
    const waitMs = pace.take();
    if (waitMs > 0)
      return nothing(false, { ...failureOf("rateLimit", "provider", `${vendor} wants us to wait`), retryAfterMs: waitMs });
    const startedAt = now();
    const secrets: string[] = [...(options.secrets?.() ?? [])];
    const note = (rest: { readonly status?: number; readonly error?: string }): void =>
      options.journal?.({
        at: startedAt,
        vendor,
        method: question.method,
        path: redact(question.path, secrets),
        ms: now() - startedAt,
        ...rest,
      });
    let isOut = false;
    try {
      const common = question.isBare ? {} : ((await options.headers?.(signal)) ?? {});
      const headers = { accept: "application/json", ...common, ...question.headers, ...typeOf(question) };
      secrets.push(...credentialsIn(headers));
      signal.throwIfAborted();
      isOut = true;
      const response = await fetch(question.path.startsWith("http") ? question.path : options.url + question.path, {
        method: question.method,
        headers,
        redirect: "manual",
        signal: AbortSignal.any([signal, AbortSignal.timeout(question.timeoutMs ?? timeoutMs)]),
        ...bodyOf(question),
      });
      const text = await readText(response, options.bytesMax ?? 32 * 1024 * 1024, question.readMs);
      pace.learn(response.status, response.headers);
      note({ status: response.status });
      return { type: "answer", answer: { status: response.status, headers: response.headers, text, body: fromJson(text) } };
    } catch (error) {
      if (error instanceof ProviderError) {
        note({ error: error.failure.kind });
        return nothing(false, error.failure);
      }
      const reason = reasonOf(error);
      note({ error: reason });
      const mayHaveArrived = isOut && !neverSent.has(reason);
      return nothing(mayHaveArrived, failureOf("transient", "provider", `${vendor} did not answer (${reason})`));
    }
  };

  return {
    now,
    send,
    async ask(question, signal, errors) {
      return answered(await send(question, signal), errors, now());
    },
  };
}

/** The answer, where a status of 300 and above and no answer at all are `ProviderError`. */
export function answered(sent: Sent, errors: ErrorMap, now: number): Answer {
  if (sent.type === "none") throw new ProviderError(sent.failure);
  if (sent.answer.status >= 300) throw new ProviderError(withWait(errors(sent.answer), sent.answer.headers, now));
  return sent.answer;
}

/**
 * What the answer to a create comes to when it is no success: undefined for one. What was lost, what broke on the vendor's side, and a
 * success that says nothing may all have left a machine.
 */
export function createRefusal(sent: Sent, errors: ErrorMap, now: number): Exclude<CreateResult, { type: "created" }> | undefined {
  if (sent.type === "none") return { type: sent.mayHaveArrived ? "unknown" : "failed", failure: sent.failure };
  const { answer } = sent;
  if (answer.status < 300) return undefined;
  const failure = withWait(errors(answer), answer.headers, now);
  const mayHaveWorked = answer.status >= 500 || answer.status === 408 || failure.kind === "transient";
  return { type: mayHaveWorked ? "unknown" : "failed", failure };
}

/** Undefined where the vendor says that there is no such thing. */
export async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ProviderError && error.failure.kind === "missing") return undefined;
    throw error;
  }
}

export function failureOf(kind: Failure["kind"], scope: Failure["scope"], says: string): Failure {
  return { kind, scope, says: says.endsWith(".") ? says : `${says}.` };
}

/** A vendor's own words as part of a sentence: one line, short, without what is to be hidden. Never a whole body. */
export function vendorWords(words: unknown, hide: readonly string[] = []): string {
  if (typeof words !== "string") return "";
  const line = redact(words, hide)
    // eslint-disable-next-line no-control-regex -- Terminals act on them.
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+/gu, " ")
    .trim();
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

/** The text with every secret in it made unreadable, also as it stands in an address or in base64. Shorter than six characters is none. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret.length < 6) continue;
    for (const form of new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")]))
      clean = clean.replaceAll(form, "[hidden]");
  }
  return clean;
}

/** How long a vendor asks to be left alone, in ms: `Retry-After` in either form, else the window of `RateLimit` that is used up. */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const after = headers.get("retry-after")?.trim();
  if (after !== undefined && /^\d+(\.\d+)?$/.test(after)) return Math.ceil(Number(after) * 1000);
  if (after !== undefined && !Number.isNaN(Date.parse(after))) return Math.max(0, Date.parse(after) - now);
  return spentWindowMs(headers);
}

/** Ms until the longest of the used-up windows begins anew. Reads the list form (`"minute";r=0;t=12`), the older one and its `X-`. */
function spentWindowMs(headers: Headers): number | undefined {
  const waits: number[] = [];
  for (const part of (headers.get("ratelimit") ?? "").split(",")) {
    const left = /;\s*r=(\d+)/.exec(part)?.[1];
    const seconds = /;\s*t=(\d+)/.exec(part)?.[1];
    if (left === "0" && seconds !== undefined) waits.push(Number(seconds) * 1000);
  }
  for (const prefix of ["ratelimit", "x-ratelimit"]) {
    const reset = Number(headers.get(`${prefix}-reset`) ?? Number.NaN);
    // Beyond a month it is a moment, not a wait; those who say moments send Retry-After too.
    if (headers.get(`${prefix}-remaining`) === "0" && reset >= 0 && reset < 2_678_400) waits.push(reset * 1000);
  }
  return waits.length === 0 ? undefined : Math.max(...waits);
}

function withWait(failure: Failure, headers: Headers, now: number): Failure {
  const waitMs = failure.retryAfterMs ?? (failure.kind === "rateLimit" ? retryAfterMs(headers, now) : undefined);
  return waitMs === undefined ? failure : { ...failure, retryAfterMs: waitMs };
}

/** A bucket that refills evenly, and stays shut for as long as the vendor asked. */
function openPace(
  limit: HttpOptions["pace"],
  now: () => number,
): { take(): number; learn(status: number, headers: Headers): void } {
  let tokens = limit?.burst ?? 0;
  let filledAt = now();
  let shutUntil = 0;
  return {
    /** 0, or how many ms to wait. */
    take() {
      const at = now();
      if (at < shutUntil) return shutUntil - at;
      if (!limit) return 0;
      tokens = Math.min(limit.burst, tokens + (Math.max(0, at - filledAt) * limit.perMinute) / 60_000);
      filledAt = at;
      if (tokens < 1) return Math.ceil(((1 - tokens) * 60_000) / limit.perMinute);
      tokens -= 1;
      return 0;
    },
    learn(status, headers) {
      const waitMs = status === 429 ? (retryAfterMs(headers, now()) ?? 0) : (spentWindowMs(headers) ?? 0);
      shutUntil = Math.max(shutUntil, now() + waitMs);
    },
  };
}

/** Failures from before a byte of the request left. */
const neverSent: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** A word for what went wrong underneath; never its message, which may hold an address with secrets. */
function reasonOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string" && /^[A-Z_]+$/.test(code)) return code;
    if (at.name === "TimeoutError") return "too slow";
    if (at.name === "AbortError") return "stopped waiting";
    if (at instanceof AnswerTooLong) return "answer too long";
    // Several addresses were tried; they failed for one reason as a rule.
    if (at instanceof AggregateError && at.errors.length > 0) return reasonOf(at.errors[0]);
  }
  return "connection lost";
}

class AnswerTooLong extends Error {}

async function readText(response: Response, bytesMax: number, readMs: number | undefined): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  const timer = readMs === undefined ? undefined : setTimeout(() => void reader?.cancel().catch(() => undefined), readMs);
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      bytes += part.value.byteLength;
      if (bytes > bytesMax) throw new AnswerTooLong();
      parts.push(part.value);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(parts).toString("utf8");
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const typeOf = ({ json, form, text }: Question): Record<string, string> =>
  json !== undefined
    ? { "content-type": "application/json" }
    : form
      ? { "content-type": "application/x-www-form-urlencoded" }
      : text
        ? { "content-type": text.type }
        : {};

function bodyOf({ json, form, text }: Question): { body?: string } {
  if (json !== undefined) return { body: JSON.stringify(json) };
  if (form) return { body: new URLSearchParams(form).toString() };
  return text ? { body: text.body } : {};
}

const credentialsIn = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers)
    .filter(([name]) => /authorization|token|api-?key|secret/i.test(name))
    .map(([, value]) => value.replace(/^(Bearer|Basic) /i, ""));

const nothing = (mayHaveArrived: boolean, failure: Failure): Sent => ({ type: "none", mayHaveArrived, failure });
