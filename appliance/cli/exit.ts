/** How a command ends: one table of exit codes, one place that turns whatever was thrown into one sentence. */
import { inspect } from "node:util";
import { codes, isNikaError, NikaError, type Code } from "../../convex/model/error.ts";
import { systemCode } from "../folder/systemCode.ts";

/** Numbers follow BSD's sysexits where one fits; 130 is what shells give a command ended by Ctrl-C. */
export const exitCodes: Record<Code, number> = {
  invalid: 65,
  unreadable: 65,
  missing: 66,
  unavailable: 69,
  timeout: 69,
  bug: 70,
  full: 73,
  conflict: 75,
  denied: 77,
  cancelled: 130,
};

/** The command line itself is wrong: an unknown flag, a missing argument. */
export const usageExit = 64;
/** The command did its work and what it found is not fine: `doctor` with a failed check, `ingest --strict`. */
export const findingsExit = 1;

/** Whatever was thrown on this side or sent by the appliance, as a NikaError with a sentence for the owner. */
export function toCliError(error: unknown): NikaError {
  return fromConvex(error) ?? fromNetwork(error) ?? fromSystem(error) ?? (isNikaError(error) ? error : ourFault(error));
}

/** This side keeps no log, so the sentence says how to see more. */
function ourFault(error: unknown): NikaError {
  return new NikaError("bug", "Something went wrong inside this command; NIKA_DEBUG=1 shows what.", { cause: error });
}

/** The lines for stderr: the sentence, and with `isDebug` what is behind it. */
export function failureLines(error: NikaError, isDebug: boolean): string[] {
  if (!isDebug) return [`nika: ${error.message}`];
  const lines = [`nika: ${error.message}`, `[${error.code}] ${error.stack ?? ""}`];
  return error.cause === undefined
    ? lines
    : [...lines, `cause: ${typeof error.cause === "string" ? error.cause : inspect(error.cause)}`];
}

/** What the control plane refuses arrives as a ConvexError with `{code, message}`. */
function fromConvex(error: unknown): NikaError | undefined {
  if (!(error instanceof Error) || error.name !== "ConvexError" || !("data" in error)) return undefined;
  const data = error.data as { code?: unknown; message?: unknown } | null;
  if (typeof data?.code !== "string" || !(data.code in codes) || typeof data.message !== "string") return undefined;
  return new NikaError(data.code as Code, data.message, { cause: error });
}

/** `fetch` and sockets: the appliance went away between finding it and asking it. */
function fromNetwork(error: unknown): NikaError | undefined {
  const isNetwork = error instanceof TypeError && error.message === "fetch failed";
  const code = systemCode(error) ?? systemCode((error as Error | undefined)?.cause);
  if (!isNetwork && !["ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(code ?? "")) return undefined;
  return new NikaError("unavailable", "Nika stopped answering; see `nika status` and `nika doctor`.", { cause: error });
}

function fromSystem(error: unknown): NikaError | undefined {
  const path = (error as { path?: unknown } | undefined)?.path;
  const where = typeof path === "string" ? ` ${path}` : "";
  switch (systemCode(error) ?? "") {
    case "ENOSPC":
    case "EDQUOT":
      return new NikaError("full", `There is no room left on the disk${where && ` for${where}`}; free some and try again.`, {
        cause: error,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new NikaError("denied", `Nika may not use${where || " a file it needs"}; check its permissions.`, { cause: error });
    case "ENOTDIR":
    case "EEXIST":
      return new NikaError("invalid", `There is a file where a folder should be:${where}.`, { cause: error });
    case "ENOENT":
      return new NikaError("missing", `There is nothing at${where || " the path given"}.`, { cause: error });
    default:
      return undefined;
  }
}
