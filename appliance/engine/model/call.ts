/** A call of a function as it crosses borders: who asks, what for, and what comes back. */

/** Who asks. `user` carries what `ctx.auth.getUserIdentity()` returns; `admin` may reach internal functions. */
export type Identity =
  | { readonly type: "none" }
  | { readonly type: "user"; readonly attributes: Readonly<Record<string, unknown>> }
  | { readonly type: "admin"; readonly actingAs?: Readonly<Record<string, unknown>> };

/** What is known of the request that a function was called by. */
export type RequestClient = {
  readonly ip: string | null;
  readonly userAgent: string | null;
  /** The signed token that it came with, as it was. */
  readonly authToken: string | null;
};

/** Who had a function called. */
export type Caller = "Client" | "Action" | "Scheduler" | "Cron";

/** One call. Values cross every border as JSON text in Convex's encoding, so no realm ever sees another realm's objects. */
export type CallRequest = {
  /** `dir/mod:fn`, in any of Convex's spellings. */
  readonly path: string;
  /** JSON text of the arguments object. */
  readonly args: string;
  readonly identity: Identity;
  /** 16 hex digits, for logs and error messages. */
  readonly requestId: string;
  /** Who had it called, for the log; a client when left out. */
  readonly caller?: Caller;
  /** Left out of calls that no client made. */
  readonly client?: RequestClient | undefined;
  /** The scheduled function that this is, or that had it called. */
  readonly scheduledId?: string | undefined;
};

/** JSON text of the value, or what the client is told. `data` is the JSON text of a ConvexError's payload. */
export type Result =
  | { readonly ok: true; readonly value: string }
  | {
      readonly ok: false;
      readonly message: string;
      readonly data?: string;
      /** There was no room on the disk; nothing was changed, and later it may work. */
      readonly isFull?: true;
    };
