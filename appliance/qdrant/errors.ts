import { NikaError, isNikaError, type Code } from "../../convex/model/error.ts";

/** Nobody further in knows the client's errors. Statuses of Qdrant's that mean something to us; every other one is a bug of ours. */
const byStatus: Readonly<Record<number, { code: Code; message: string }>> = {
  401: { code: "denied", message: "The vector store refused the API key; check NIKA_QDRANT_API_KEY." },
  403: { code: "denied", message: "The vector store refused the API key; check NIKA_QDRANT_API_KEY." },
  404: { code: "unavailable", message: "The vector store has lost the vault's collection; trying again makes it anew." },
  408: { code: "timeout", message: "The vector store took too long." },
  409: { code: "conflict", message: "The vector store already has this." },
  429: { code: "unavailable", message: "The vector store is too busy right now." },
  500: { code: "unavailable", message: "The vector store failed; its log has the details." },
  502: { code: "unavailable", message: "The vector store is not answering." },
  503: { code: "unavailable", message: "The vector store is not ready." },
  504: { code: "timeout", message: "The vector store took too long." },
  507: { code: "full", message: "The vector store's disk or memory is full." },
};

/** The HTTP status of a client error; undefined when no answer came. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined;
  return typeof status === "number" ? status : undefined;
}

/** Whatever the client threw, as what it means to us. */
export function toStoreError(error: unknown): NikaError {
  if (isNikaError(error)) return error;
  const status = statusOf(error);
  const known = status === undefined ? undefined : byStatus[status];
  if (known) return new NikaError(known.code, known.message, { cause: error });
  const name = error instanceof Error ? error.name : "";
  if (name === "QdrantClientTimeoutError") return new NikaError("timeout", "The vector store took too long.", { cause: error });
  if (name === "QdrantClientResourceExhaustedError")
    return new NikaError("unavailable", byStatus[429]!.message, { cause: error });
  if (status === undefined && error instanceof TypeError) {
    // What fetch throws when there is no connection.
    return new NikaError("unavailable", "The vector store is not answering.", { cause: error });
  }
  return new NikaError("bug", "The vector store did not understand Nika; the log has the details.", { cause: error });
}
