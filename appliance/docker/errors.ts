/** What the engine answers when it will not, in our words. */
import { isNikaError, NikaError } from "../../convex/model/error.ts";

export function statusOf(error: unknown): number | undefined {
  const status = error instanceof Error ? (error as { statusCode?: unknown }).statusCode : undefined;
  return typeof status === "number" ? status : undefined;
}

export const isUnreachable = (error: unknown): boolean =>
  error instanceof Error && "code" in error && ["ENOENT", "ECONNREFUSED", "EACCES", "ECONNRESET"].includes(String(error.code));

/** The answer, or undefined when what was named is not there. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** What it said, without the client's words round it. */
export const saidBy = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^\(HTTP code \d+\) [\w ]* - /, "").trim() : "";

export function toContainerError(error: unknown): unknown {
  if (isNikaError(error)) return error;
  if (isUnreachable(error))
    return new NikaError("unavailable", "No Docker engine answers on this machine; install docker.io, or start it.", {
      cause: error,
    });
  const status = statusOf(error);
  if (status === undefined) return error;
  const said = saidBy(error);
  if (/port is already allocated|address already in use/.test(said))
    return new NikaError("conflict", `Docker cannot publish the port, because something else uses it: ${said}`, { cause: error });
  return new NikaError(status >= 500 ? "unavailable" : "conflict", `Docker refused: ${said}`, { cause: error });
}
