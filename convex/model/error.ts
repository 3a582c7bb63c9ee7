/**
 * Every way Nika can fail, as a closed table. Whether trying again can help follows from the code alone; HTTP statuses and exit
 * codes are tables keyed by it, so no caller invents its own.
 */
export const codes = {
  /** The request itself is wrong. */
  invalid: { retry: false },
  /** What was named does not exist. */
  missing: { retry: false },
  /** It clashes with what is already there. */
  conflict: { retry: false },
  /** The asker may not. */
  denied: { retry: false },
  /** The bytes cannot be turned into passages: a state of the document, not a fault of ours. */
  unreadable: { retry: false },
  /** A limit was reached: size, pages, disk. */
  full: { retry: false },
  /** Cancelled by the owner or by a stop. */
  cancelled: { retry: false },
  /** Something we depend on is not answering. */
  unavailable: { retry: true },
  /** It took longer than it may. */
  timeout: { retry: true },
  /** We are wrong. The message is neutral; the cause is for the log. */
  bug: { retry: false },
} as const;

export type Code = keyof typeof codes;

/** What each code is as an HTTP status, at every door. */
export const httpStatuses: Readonly<Record<Code, number>> = {
  invalid: 400,
  missing: 404,
  conflict: 409,
  denied: 401,
  unreadable: 422,
  full: 507,
  cancelled: 499,
  unavailable: 503,
  timeout: 504,
  bug: 500,
};

/** The one error class. `message` is one sentence the owner may read and act on; `cause` is for the log only. */
export class NikaError extends Error {
  override readonly name = "NikaError";
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Recognised by name and code, not by `instanceof`: the class can be loaded twice and errors cross threads as plain objects. */
export function isNikaError(error: unknown): error is NikaError {
  return error instanceof Error && error.name === "NikaError" && "code" in error && (error.code as string) in codes;
}

/** Whatever was thrown, as a NikaError. What we do not know is a bug: neutral sentence outside, the original as cause. */
export function toNikaError(error: unknown): NikaError {
  if (isNikaError(error)) return error;
  const { code, message } = dataOf(error);
  if (typeof code === "string" && Object.hasOwn(codes, code) && typeof message === "string")
    return new NikaError(code as Code, message, { cause: error });
  return new NikaError("bug", "Something went wrong inside Nika; the log has the details.", { cause: error });
}

/** A refusal by the database travels as a ConvexError, with its code and sentence as data. */
function dataOf(error: unknown): { readonly code?: unknown; readonly message?: unknown } {
  if (!(error instanceof Error) || !("data" in error)) return {};
  return typeof error.data === "object" && error.data !== null ? error.data : {};
}
