/** Answers and refusals, in the shapes Convex's clients read. */
import type { ServerResponse } from "node:http";
import { httpStatuses, isNikaError, NikaError, type Code } from "../../../convex/model/error.ts";
import { fullDiskMessage, isDiskFull } from "../store/full.ts";

const restBytesMax = 256 * 1024;

/** An error for which the code's own status would not be precise enough. */
export class Refusal extends NikaError {
  readonly status: number;

  constructor(status: number, code: Code, message: string) {
    super(code, message);
    this.status = status;
  }
}

export function sendJsonText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }).end(text);
}

export function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" }).end(text);
}

/** `{code, message}`; what we do not know is logged and told without details. Ends the connection when the answer has begun. */
export function sendError(response: ServerResponse, cause: unknown, log: (line: string) => void): void {
  const error = isDiskFull(cause) ? new NikaError("full", fullDiskMessage, { cause }) : cause;
  const isKnown = isNikaError(error);
  if (!isKnown || error.code === "bug") log(`http: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = error instanceof Refusal ? error.status : httpStatuses[isKnown ? error.code : "bug"];
  const message = isKnown ? error.message : "Something went wrong inside the server; its log has the details.";
  // A short rest of a body is read and dropped, because closing on it may take the answer away from who still sends. A long one is not
  // waited for.
  const { complete, headers } = response.req;
  if (!complete && !(Number(headers["content-length"]) <= restBytesMax)) response.setHeader("Connection", "close");
  sendJsonText(response, status, JSON.stringify({ code: isKnown ? error.code : "bug", message }));
}
