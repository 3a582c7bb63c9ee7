/** A query's outcome as the part of a state modification that is the same for every client that sees it. */
import type { QueryRun } from "../model/run.ts";

/** JSON members without the braces. Equal text means that a client which has the one need not be sent the other. */
export type Frame = { readonly type: "QueryUpdated" | "QueryFailed"; readonly members: string };

export function toFrame({ result, logLines, journal }: QueryRun): Frame {
  const rest = `"logLines":${JSON.stringify(logLines)},"journal":${JSON.stringify(journal)}`;
  if (result.ok) return { type: "QueryUpdated", members: `"value":${result.value},${rest}` };
  const data = result.data === undefined ? "" : `"errorData":${result.data},`;
  return { type: "QueryFailed", members: `"errorMessage":${JSON.stringify(result.message)},${data}${rest}` };
}
