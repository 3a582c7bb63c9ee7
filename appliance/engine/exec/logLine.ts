/** What `console` of an app writes, as one line for whoever called. */
import { inspect, types } from "node:util";
import { limits } from "../codec/limits.ts";
import type { StackMapper } from "./stackMap.ts";

/** `[LOG] 'text' { a: 1 }`, as Convex's clients expect it. An error shows where it was made, in the app's own files. */
export function logLine(level: string, args: readonly unknown[], mapStack: StackMapper): string {
  const shown = args.map((one) =>
    types.isNativeError(one) && typeof one.stack === "string"
      ? mapStack(one.stack)
      : inspect(one, { depth: 6, maxStringLength: limits.logLineLengthMax }),
  );
  const line = `[${level}] ${shown.join(" ")}`;
  return line.length > limits.logLineLengthMax ? `${line.slice(0, limits.logLineLengthMax)} (truncated due to length)` : line;
}
