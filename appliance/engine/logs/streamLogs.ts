/** The log as Convex's command line reads it: one request waits until there is something after its cursor, or a minute is over. */
import type { IncomingMessage } from "node:http";
import { NikaError } from "../../../convex/model/error.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { Refusal } from "../http/reply.ts";
import type { RunLog } from "./runLog.ts";

const waitMs = 60_000;

/** Answers with JSON text. Fails with 403 for anybody but an admin: the real client gives up on that, and on nothing else. */
export async function streamLogs(
  { auth, runs }: { readonly auth: Authenticator; readonly runs: RunLog | undefined },
  request: IncomingMessage,
  url: URL,
): Promise<string> {
  const { identity } = await auth.identifyHeader(request.headers.authorization).catch((error: unknown) => {
    if (error instanceof NikaError && error.code === "denied") throw new Refusal(403, "denied", error.message);
    throw error;
  });
  if (identity.type !== "admin") throw new Refusal(403, "denied", "Only an admin key may read the log.");
  const cursor = Number(url.searchParams.get("cursor") ?? 0);
  if (!Number.isFinite(cursor) || cursor < 0) throw new NikaError("invalid", "cursor must be a number.");
  if (!runs) throw new NikaError("missing", "This engine keeps no log.");
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  // The reader is gone when its socket is; the request itself counts as closed as soon as it has been read.
  request.socket.once("close", leave);
  const over = setTimeout(leave, waitMs);
  try {
    return JSON.stringify(await runs.after(cursor, gone.signal));
  } finally {
    clearTimeout(over);
    request.socket.off("close", leave);
  }
}
